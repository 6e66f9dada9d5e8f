"""The attester ``coco:``: a confidential container, by the attestation agent in its guest.

The agent speaks HTTP on loopback, to whoever is in the guest, so no privilege is needed::

    coco:                           http://127.0.0.1:8006, the port that it has by default
    coco:http://127.0.0.1:8080

See: https://github.com/confidential-containers/guest-components, ``api-server-rest/openapi/api.json``.
"""

import base64
import re

from airflow_provider_atlas.errors import AttesterError, ConfigError, MalformedError
from airflow_provider_atlas.tee.backends.local_service import get
from airflow_provider_atlas.tee.coco.evidence import parse_evidence
from airflow_provider_atlas.tee.evidence import Evidence
from airflow_provider_atlas.tee.tdx.quote import TdxQuote

_AGENT = "http://127.0.0.1:8006"
_AGENT_URL = re.compile(r"http://(?:127\.0\.0\.1|localhost|\[::1\]):\d{1,5}\Z", re.ASCII)
_SNP_REPORT_DATA = slice(0x50, 0x90)


class CocoAttester:
    """An ``Attester`` in a guest of Confidential Containers, on TDX or SEV-SNP."""

    def __init__(self, url: str) -> None:
        """Ask the agent at ``url``, or at its default address when that is empty.

        Raises ConfigError for one that is not on loopback: another guest's evidence would say nothing of this one.
        """
        self._url = url or _AGENT
        if not _AGENT_URL.match(self._url):
            raise ConfigError(f"expected coco: or coco:http://127.0.0.1:PORT, not {url!r}")

    def attest(self, report_data: bytes) -> Evidence:
        """Return evidence that commits to ``report_data``, with the certificates that the agent has.

        Raises AttesterError unless ``report_data`` has 64 bytes, and when the agent gives none that commits to it.
        """
        if len(report_data) != 64:
            raise AttesterError(f"expected 64 bytes of report data, not {len(report_data)}")
        asked = {"runtime_data": base64.urlsafe_b64encode(report_data).decode().rstrip("="), "encoding": "base64"}
        answer = get(f"{self._url}/aa/evidence", {}, "the attestation agent's evidence", parameters=asked)
        try:
            evidence = parse_evidence(answer)
            claimed = _report_data(evidence)
        except MalformedError as error:
            raise AttesterError(f"cannot use the evidence of the attestation agent at {self._url}: {error}") from error
        if claimed != report_data:
            # Agents of before 2025 know no encoding, and take the text itself for the data.
            raise AttesterError("expected evidence that commits to what the agent was given: is the agent too old?")
        return evidence


def _report_data(evidence: Evidence) -> bytes:
    if evidence.tee == "tdx":
        return TdxQuote.parse(evidence.quote).report.report_data
    return evidence.quote[_SNP_REPORT_DATA]
