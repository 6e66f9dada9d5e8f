"""A TPM quote with its signature and the PCR values that it digests: what every kind of TPM evidence holds.

::

    {"message": base64 TPMS_ATTEST, "pcrs": {"0": hex, …}, "signature": base64 TPMT_SIGNATURE}

A quote holds only a digest of the PCRs, so their values travel beside it, and whoever verifies digests them again.
See: TCG TPM 2.0 Library, part 3 (Commands), 18.4 (TPM2_Quote).
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_atlas.encoding import Fields, JsonObject, b64decode, b64encode, parse_decimal, parse_hex
from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tee.evidence import Fact
from airflow_provider_atlas.tee.tpm.attestation_key import AttestationKey
from airflow_provider_atlas.tee.tpm.structures import TpmQuote, TpmSignature

COMMITMENT_BYTES = 32
"""What the extra data of a quote holds: the SHA-256 of 64 bytes of report data, since not every TPM takes 64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedQuote:
    """A quote, its signature, and the value of each PCR that it selects (32 bytes each, SHA-256 bank)."""

    quote: TpmQuote
    signature: TpmSignature
    pcrs: Mapping[int, bytes]

    @classmethod
    def parse(cls, fields: Fields) -> "SignedQuote":
        """Return the signed quote whose members ``fields`` holds, and leave the rest.

        Raises MalformedError when one is not there or is none, or the PCRs are not those that the quote selects.
        """
        signed = cls(
            quote=TpmQuote.parse(b64decode(fields.text("message"))),
            signature=TpmSignature.parse(b64decode(fields.text("signature"))),
            pcrs=_pcrs(fields.object("pcrs")),
        )
        if tuple(sorted(signed.pcrs)) != signed.quote.selection:
            raise MalformedError("expected the values of those PCRs that the TPM quote selects")
        return signed

    def to_json(self) -> JsonObject:
        """Return the members of this quote."""
        return {
            "message": b64encode(self.quote.to_bytes()),
            "pcrs": {str(index): value.hex() for index, value in self.pcrs.items()},
            "signature": b64encode(self.signature.to_bytes()),
        }

    def verify(self, key: AttestationKey) -> None:
        """Return when ``key`` signed this quote, over these PCR values, for a commitment of 32 bytes.

        Raises SignatureError otherwise.
        """
        key.verify(self.quote.to_bytes(), self.signature)
        if not hmac.compare_digest(self.pcr_digest(), self.quote.pcr_digest):
            raise SignatureError("expected the PCR values that the TPM quote digests")
        if len(self.quote.extra_data) != COMMITMENT_BYTES:
            raise SignatureError(f"expected a TPM quote that commits to {COMMITMENT_BYTES} bytes")

    def pcr_digest(self) -> bytes:
        """Return the digest of the PCR values, as the TPM makes it: one after the other, by the signature's hash."""
        values = b"".join(self.pcrs[index] for index in sorted(self.pcrs))
        return hashlib.new(self.signature.hash_name, values).digest()

    def measurements(self) -> Mapping[str, str]:
        """Return what reference values are compared with: ``pcr0`` to ``pcr23``, in lower-case hex."""
        return {f"pcr{index}": self.pcrs[index].hex() for index in sorted(self.pcrs)}

    def facts(self) -> Mapping[str, Fact]:
        """Return what else the quote says: the TPM's firmware, its clock and how often it was reset."""
        return {
            "firmware_version": f"{self.quote.firmware_version:016x}",
            "clock": self.quote.clock,
            "reset_count": self.quote.reset_count,
            "restart_count": self.quote.restart_count,
            "safe": self.quote.safe,
            "signature_scheme": f"{self.signature.scheme}-{self.signature.hash_name}",
        }


def _pcrs(values: JsonObject) -> Mapping[int, bytes]:
    pcrs: dict[int, bytes] = {}
    for name, value in values.items():
        if not isinstance(value, str):
            raise MalformedError("expected the value of a PCR in hex")
        pcrs[parse_decimal(name)] = parse_hex(value, 32)
    return pcrs
