"""The evidence of an Azure confidential VM: three links from the silicon to one quote.

Canonical JSON (RFC 8785), a signed TPM quote's members and three more::

    {"hardware": base64 report or quote, "message": …, "pcrs": …, "runtime": base64 JSON, "signature": …, "v": 1}

``hardware`` commits to ``runtime``, which names the attestation key, which signed the TPM quote, which commits to ours.
See: ``docs/format.md`` §5.2.
"""

from dataclasses import dataclass

from airflow_provider_atlas.encoding import Fields, b64decode, b64encode, canonical_json, parse_canonical_json
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.azure.runtime_data import RuntimeData
from airflow_provider_atlas.tee.tpm.signed_quote import SignedQuote

AZURE_VTPM = "application/vnd.atlas.azure-vtpm.v1+json"
"""Media type of the evidence of an Azure confidential VM."""

_MAX_SIZE = 96 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureEvidence:
    """A hardware report (SEV-SNP) or quote (TDX), the paravisor's runtime data, and a quote of the TPM it lends."""

    hardware: bytes
    runtime: RuntimeData
    signed: SignedQuote

    @classmethod
    def parse(cls, data: bytes) -> "AzureEvidence":
        """Return the evidence in ``data``, at most 96 KiB. Raises MalformedError for all else."""
        if len(data) > _MAX_SIZE:
            raise MalformedError(f"expected Azure evidence of at most {_MAX_SIZE} bytes")
        fields = Fields(parse_canonical_json(data), "the Azure evidence")
        if fields.integer("v") != 1:
            raise MalformedError("expected Azure evidence of version 1")
        evidence = cls(
            hardware=b64decode(fields.text("hardware")),
            runtime=RuntimeData.parse(b64decode(fields.text("runtime"))),
            signed=SignedQuote.parse(fields),
        )
        fields.end()
        return evidence

    def to_bytes(self) -> bytes:
        """Return this evidence as canonical JSON."""
        parts = {"hardware": b64encode(self.hardware), "runtime": b64encode(self.runtime.content)}
        return canonical_json({"v": 1, **parts, **self.signed.to_json()})
