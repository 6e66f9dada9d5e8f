"""Evidence (not yet believed), endorsements (what vouches for the platform) and claims (believed).

See: RFC 9334 (RATS architecture), for the words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from airflow_provider_atlas.encoding import Fields, Json, JsonObject, b64decode, b64encode
from airflow_provider_atlas.tee.batch import BatchProof

TDX_QUOTE = "application/vnd.intel.tdx.quote"
"""Media type of a raw Intel TDX quote."""

SNP_REPORT = "application/vnd.amd.sev-snp.report"
"""Media type of a raw AMD SEV-SNP attestation report, 1184 bytes."""

NITRO_DOCUMENT = "application/vnd.aws.nitro.attestation-document+cbor"
"""Media type of a raw attestation document of an AWS Nitro enclave, a COSE_Sign1 without a tag."""

NVIDIA_REPORT = "application/vnd.nvidia.gpu.attestation-report"
"""Media type of a raw report of an NVIDIA GPU: an SPDM request for measurements, and the response to it."""

DCAP_COLLATERAL = "application/vnd.intel.dcap.collateral+json"
"""Media type of DCAP collateral, as the JSON object that ``dcap-qvl`` reads."""

PEM_CERTIFICATE_CHAIN = "application/pem-certificate-chain"
"""Media type of the certificates that lead from a report's key to a root, leaf first, as PEM (RFC 8555 §9.1)."""

PKIX_CRL = "application/pkix-crl"
"""Media type of a certificate revocation list, as DER (RFC 2585 §4.2)."""

EVENT_LOG = "application/vnd.tcg.ccel"
"""Media type of a guest's boot event log (CCEL): the events that its registers are made of."""

ARM_CCA = 'application/eat-collection; profile="http://arm.com/CCA-SSD/1.0.0"'
"""Media type of an Arm CCA attestation token."""

Fact = str | int | bool
"""What evidence says of one thing: hex and names as text, versions and vectors of bits as numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsements:
    """What vouches for a platform: certificates, revocation lists and TCB levels, in one vendor's form."""

    media_type: str
    content: bytes

    @classmethod
    def parse(cls, value: Json) -> "Endorsements":
        """Return the endorsements that ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "the endorsements")
        endorsements = cls(media_type=fields.text("mediaType"), content=b64decode(fields.text("content")))
        fields.end()
        return endorsements

    def to_json(self) -> JsonObject:
        """Return the JSON object of these endorsements."""
        return {"mediaType": self.media_type, "content": b64encode(self.content)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A quote as an attester gave it, with the endorsements it came with. Nobody has judged it yet.

    ``tee`` is the platform (``tdx``); ``provider`` is who issued it (``simulated``, ``tsm``), as the attester says:
    a verifier labels evidence by the root that its signatures lead to, never by this word. ``batch`` is there when
    the quote was made for many at once, and proves that this one was among them.
    """

    tee: str
    provider: str
    media_type: str
    quote: bytes
    endorsements: Sequence[Endorsements] = ()
    batch: BatchProof | None = None

    @classmethod
    def take(cls, fields: Fields) -> "Evidence":
        """Return the evidence whose members ``to_json`` gave, taken from ``fields``. Raises MalformedError."""
        return cls(
            tee=fields.text("tee"),
            provider=fields.text("provider"),
            media_type=fields.text("mediaType"),
            quote=b64decode(fields.text("quote")),
            endorsements=tuple(map(Endorsements.parse, fields.items("endorsements"))),
            batch=BatchProof.parse(fields.object("batch")) if fields.has("batch") else None,
        )

    def to_json(self) -> JsonObject:
        """Return the JSON object of this evidence."""
        return {
            "tee": self.tee,
            "provider": self.provider,
            "mediaType": self.media_type,
            "quote": b64encode(self.quote),
            "endorsements": [item.to_json() for item in self.endorsements],
            **({"batch": self.batch.to_json()} if self.batch is not None else {}),
        }

    def quoted(self, report_data: bytes) -> bytes:
        """Return what the quote must commit to, for this to commit to ``report_data``: the root of its batch, if any.

        Raises BindingError when the batch does not hold it.
        """
        return report_data if self.batch is None else self.batch.report_data(report_data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What genuine evidence says, after its signatures were verified up to ``root_sha256``.

    ``report_data`` is what the quote commits to: 64 bytes, or the SHA-256 of those 64 where a TPM holds no more
    (``binding.is_committed``). ``measurements`` maps a register's name to its value in lower-case hex. ``tcb_status``
    is the vendor's own word on the platform's firmware, None where a vendor has none. ``development`` is true when the
    root is not a silicon vendor's: nothing follows then about any hardware. ``facts`` holds the rest by name, each as a
    policy may ask of it; an identifier of one machine is in it as its SHA-256 alone.
    """

    tee: str
    report_data: bytes
    measurements: Mapping[str, str]
    tcb_status: str | None
    advisory_ids: Sequence[str]
    debug: bool
    root_sha256: str
    development: bool
    facts: Mapping[str, Fact] = field(default_factory=dict)
