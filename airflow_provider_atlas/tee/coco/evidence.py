"""The JSON in which Confidential Containers' attestation agent gives evidence, and what of it is ours.

::

    TDX   {"quote": base64, "cc_eventlog": base64 or null, …}
    SNP   {"attestation_report": {…}, "cert_chain": [{"cert_type": "VCEK", "data": [octet, …]}, …] or null}

The agent's other members (event logs) are left out: nothing here reads them.
See: https://github.com/confidential-containers/guest-components, ``attestation-agent/attester/src``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_atlas.encoding import Fields, Json, b64decode, parse_json
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.coco.snp_report import octets_of, report_of
from airflow_provider_atlas.tee.evidence import (
    PEM_CERTIFICATE_CHAIN,
    SNP_REPORT,
    TDX_QUOTE,
    Endorsements,
    Evidence,
)
from airflow_provider_atlas.tee.pem import parse_pem, to_pem
from airflow_provider_atlas.tee.tdx.quote import trim

MAX_ANSWER_BYTES = 1 << 20
"""The longest answer that is read: event logs are part of it."""

_PROVIDER = "coco"
_ORDER = (("VCEK", "VLEK"), ("ASK",), ("ARK",))


def parse_evidence(data: bytes) -> Evidence:
    """Return the evidence that the agent answered with as ``data``. Raises MalformedError for an unknown kind."""
    if len(data) > MAX_ANSWER_BYTES:
        raise MalformedError(f"expected an answer of the attestation agent of at most {MAX_ANSWER_BYTES} bytes")
    value = parse_json(data)
    match value:
        case {"quote": str(quote)}:
            return _evidence("tdx", TDX_QUOTE, trim(b64decode(quote)), ())
        case {"attestation_report": dict(report), "cert_chain": certificates}:
            return _evidence("sev-snp", SNP_REPORT, report_of(report), _endorsements(certificates))
        case {"report_data": _, "svn": _}:
            raise MalformedError("expected the evidence of a TEE: this attestation agent runs where there is none")
        case _:
            raise MalformedError("expected the attestation agent's evidence of TDX or SEV-SNP")


def _evidence(tee: str, media_type: str, quote: bytes, endorsements: Sequence[Endorsements]) -> Evidence:
    return Evidence(tee=tee, provider=_PROVIDER, media_type=media_type, quote=quote, endorsements=endorsements)


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: str
    certificate: bytes


def _endorsements(value: Json) -> Sequence[Endorsements]:
    """Return the certificates that the agent had from its host, key first; none where the host had none."""
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise MalformedError("expected the attestation agent's certificates as an array")
    entries = [_entry(Fields(entry, "a certificate of the attestation agent")) for entry in value]
    chain = [entry.certificate for kinds in _ORDER for entry in entries if entry.kind in kinds]
    return (Endorsements(media_type=PEM_CERTIFICATE_CHAIN, content=to_pem(*chain)),) if chain else ()


def _entry(fields: Fields) -> _Entry:
    kind = fields.any("cert_type")
    data = octets_of(fields.items("data"), None)
    pem = data.startswith(b"-----BEGIN")
    certificates = parse_pem(data.replace(b"\r\n", b"\n").strip() + b"\n") if pem else (data,)
    if len(certificates) != 1:
        raise MalformedError("expected one certificate in each entry of the attestation agent's")
    return _Entry(kind if isinstance(kind, str) else "", certificates[0])
