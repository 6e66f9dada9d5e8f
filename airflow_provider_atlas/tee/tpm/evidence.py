"""The evidence of a plain TPM: a signed quote, with the key that signed it.

Canonical JSON (RFC 8785), a signed quote's members and two more::

    {"ak": base64 SubjectPublicKeyInfo, "message": …, "pcrs": …, "signature": …, "v": 1}

See: ``docs/format.md`` §5.2.
"""

from dataclasses import dataclass

from airflow_provider_atlas.encoding import Fields, b64decode, b64encode, canonical_json, parse_canonical_json
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.tpm.attestation_key import AttestationKey
from airflow_provider_atlas.tee.tpm.signed_quote import SignedQuote

TPM_QUOTE = "application/vnd.atlas.tpm-quote.v1+json"
"""Media type of the evidence of a plain TPM."""

_MAX_SIZE = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmEvidence:
    """A signed quote and the attestation key that it is to be checked with."""

    key: AttestationKey
    signed: SignedQuote

    @classmethod
    def parse(cls, data: bytes) -> "TpmEvidence":
        """Return the evidence in ``data``, at most 32 KiB. Raises MalformedError for all else."""
        if len(data) > _MAX_SIZE:
            raise MalformedError(f"expected TPM evidence of at most {_MAX_SIZE} bytes")
        fields = Fields(parse_canonical_json(data), "the TPM evidence")
        if fields.integer("v") != 1:
            raise MalformedError("expected TPM evidence of version 1")
        evidence = cls(key=AttestationKey.parse(b64decode(fields.text("ak"))), signed=SignedQuote.parse(fields))
        fields.end()
        return evidence

    def to_bytes(self) -> bytes:
        """Return this evidence as canonical JSON."""
        return canonical_json({"v": 1, "ak": b64encode(self.key.spki), **self.signed.to_json()})
