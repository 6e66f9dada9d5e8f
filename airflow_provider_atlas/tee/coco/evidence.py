"""The JSON in which Confidential Containers' attestation agent gives evidence, and what of it is ours.

::

    TDX   {"quote": base64, "cc_eventlog": base64 or null, …}
    SNP   {"attestation_report": {"version": 2, "policy": …, "report_data": [u8, …], …}, "cert_chain": […] or null}

An SNP report comes as its fields, by the names that the crate ``sev`` gives them, and is put together again here. Where
a name or a size is not the expected one nothing is guessed: the report's signature would not verify anyhow.
See: https://github.com/confidential-containers/guest-components, ``attestation-agent/attester/src/{tdx,snp}``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_atlas.encoding import Fields, Json, b64decode, parse_json
from airflow_provider_atlas.errors import MalformedError

MAX_EVIDENCE_BYTES = 1 << 20
"""The longest answer that is read: event logs are part of it."""

