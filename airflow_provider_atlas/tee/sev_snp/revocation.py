"""AMD's certificate revocation list: X.509, DER, signed by the ARK, with serial numbers of what it revoked below it.

It exists for the certificates that AMD issues by hand, ASK and ASVK. VCEKs share one serial number, zero; were that one
listed, all of them would be revoked, and so they are refused here.
See: VCEK Certificate and KDS Interface Specification (AMD 57230) §4.2; RFC 5280 §5; RFC 2585 §4.2, for the media type.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tee import der
from airflow_provider_atlas.tee.sev_snp.certificate import UNREADABLE, AmdCertificate, check_algorithm, check_signature
from airflow_provider_atlas.x509 import revocation_list_of

_MAX_SIZE = 1 << 20
_VERSION_2 = bytes.fromhex("020101")


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """A revocation list, current from ``issued`` to ``expires`` (aware).

    ``number`` grows with each that its issuer signs; None where it does not count.
    """

    parsed: x509.CertificateRevocationList
    issued: datetime
    expires: datetime
    number: int | None

    @classmethod
    def parse(cls, data: bytes) -> "RevocationList":
        """Return the list in ``data``, at most 1 MiB of DER.

        Raises MalformedError otherwise, also for a list without a next update, and for one that says of itself, in
        a critical extension, that it is only a part.
        """
        if len(data) > _MAX_SIZE:
            raise MalformedError(f"expected a revocation list of at most {_MAX_SIZE} bytes")
        _check_spelling(data)
        try:
            parsed = revocation_list_of(data)
            extensions, expires = parsed.extensions, parsed.next_update_utc
            issued, _ = parsed.last_update_utc, (parsed.issuer, list(parsed))
        except UNREADABLE as error:
            raise MalformedError("expected an X.509 revocation list") from error
        if expires is None or any(extension.critical for extension in extensions):
            raise MalformedError("expected a revocation list that is whole and says when it expires")
        numbers = [one.value.crl_number for one in extensions if isinstance(one.value, x509.CRLNumber)]
        return cls(parsed=parsed, issued=issued, expires=expires, number=numbers[0] if numbers else None)

    def check(self, chain: Collection[AmdCertificate], ark: AmdCertificate, at: datetime) -> None:
        """Raise SignatureError unless ``ark`` signed this, it is current at ``at``, and it names none of ``chain``."""
        if self.parsed.issuer != ark.parsed.subject:
            raise SignatureError(f"expected a revocation list of {ark.name}")
        check_signature(self.parsed, ark, self.parsed.tbs_certlist_bytes, "the revocation list")
        if not self.issued <= at <= self.expires:
            raise SignatureError(
                f"expected a revocation list that is current at {at:%Y-%m-%d}",
                code="not-yet-valid" if at < self.issued else "expired",
            )
        for certificate in chain:
            if self.parsed.get_revoked_certificate_by_serial_number(certificate.serial) is not None:
                raise SignatureError(
                    f"expected a certificate that is not revoked, and {certificate.name} is", code="revoked"
                )


def _check_spelling(data: bytes) -> None:
    signed, rest = der.take(der.whole(data, der.SEQUENCE), der.SEQUENCE)
    check_algorithm(signed.removeprefix(_VERSION_2), rest)
