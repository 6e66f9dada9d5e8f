"""Evidence as people have it in files: raw, in hex or in base64, and padded as a driver's buffer is.

See: Intel TDX DCAP Quoting Library API, appendix A; AMD SEV-SNP Firmware ABI, table 23 (ATTESTATION_REPORT).
"""

import base64
import binascii
import re

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.evidence import SNP_REPORT, TDX_QUOTE, Evidence
from airflow_provider_atlas.tee.tdx.quote import TdxQuote, trim

PROVIDER = "file"
"""Who issued evidence that came as a bare file: nobody says so."""

MAX_CAPTURE_SIZE = 1 << 20
"""The largest file of a quote that is read, in bytes."""

_HEX = re.compile(rb"(?:0x)?((?:[0-9A-Fa-f]{2})+)\Z")
_BASE64 = re.compile(rb"[0-9A-Za-z+/_-]+={0,2}\Z")
_SGX, _TDX = b"\x00\x00\x00\x00", b"\x81\x00\x00\x00"
_SNP_SIZE = 1184
_REFUSED = {
    b"HCLA": "this is the report of an Azure paravisor, which vouches for a vTPM's key and for no statement: expected "
    "evidence with the TPM's quote beside it",
    b"\xffTCG": "this is a TPM's quote without its key and its PCR values: expected evidence that has all three",
}


def evidence_in(content: bytes) -> Evidence:
    """Return the evidence that ``content`` holds: a TDX quote or an SEV-SNP report, raw or as text, padded or not.

    Raises MalformedError, which says what it is where it is known and cannot be judged.
    """
    if len(content) > MAX_CAPTURE_SIZE:
        raise MalformedError(f"expected a quote in a file of at most {MAX_CAPTURE_SIZE} bytes")
    found = _raw(content)
    if found is None:
        decoded = _decoded(content)
        found = _raw(decoded) if decoded is not None else None
    if found is None:
        raise MalformedError("expected a TDX quote or an SEV-SNP report, raw, in hex or in base64, or evidence in JSON")
    return found


def _raw(content: bytes) -> Evidence | None:
    for magic, refusal in _REFUSED.items():
        if content.startswith(magic):
            raise MalformedError(refusal)
    version, kind = int.from_bytes(content[:2], "little"), content[4:8]
    if version in (3, 4, 5) and kind == _SGX and content[2:4] in (b"\x02\x00", b"\x03\x00"):
        raise MalformedError("this is an SGX quote, of an enclave and not of a guest: expected a TDX quote")
    if version in (4, 5) and kind == _TDX:
        quote = trim(content)
        TdxQuote.parse(quote)
        return Evidence(tee="tdx", provider=PROVIDER, media_type=TDX_QUOTE, quote=quote)
    if _is_snp_report(content):
        return Evidence(tee="sev-snp", provider=PROVIDER, media_type=SNP_REPORT, quote=content[:_SNP_SIZE])
    if len(content) == 1024 and content[:1] == b"\x81":
        raise MalformedError("this is a TDREPORT, which no signature vouches for outside its machine: expected a quote")
    return None


def _is_snp_report(content: bytes) -> bool:
    head = int.from_bytes(content[:4], "little"), content[0x34:0x38]
    return (
        head[0] in (2, 3, 5) and head[1] == b"\1\0\0\0" and len(content) >= _SNP_SIZE and not any(content[_SNP_SIZE:])
    )


def _decoded(content: bytes) -> bytes | None:
    text = b"".join(content.split())
    if match := _HEX.match(text):
        return bytes.fromhex(match[1].decode("ascii"))
    if not _BASE64.match(text):
        return None
    text = text.translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
