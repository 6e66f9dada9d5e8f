"""A certificate as AMD issues them: X.509, signed with RSASSA-PSS, SHA-384, and a salt of 48 bytes.

AMD's VCEKs all have the serial number zero, which RFC 5280 forbids. ``cryptography`` warns of it, and says that it will
refuse it one day; so it is shown a copy whose serial number is one, and the signature is checked over the original.
See: VCEK Certificate and KDS Interface Specification (AMD 57230) §3; RFC 4055 §3.1; RFC 5280 §4.1.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tee import der
from airflow_provider_atlas.x509 import certificate_of

PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
"""How AMD pads what it signs."""

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    CryptographyDeprecationWarning,  # of numbers that may not be negative, where warnings are errors
)
"""What ``cryptography`` raises for what is no certificate and no revocation list."""

_MAX_SIZE = 8 * 1024
_VERSION_3 = bytes.fromhex("a003020102")
_RSASSA_PSS = bytes.fromhex("06092a864886f70d01010a")  # the OID 1.2.840.113549.1.1.10


@dataclass(frozen=True, slots=True, kw_only=True)
class AmdCertificate:
    """One certificate: its DER, what of it is signed, and what it says.

    ``parsed`` says what ``der`` says, except where ``serial`` is zero: then its serial number is one, and its own
    signature worthless.
    """

    der: bytes
    signed: bytes
    serial: int
    parsed: x509.Certificate

    @classmethod
    def parse(cls, data: bytes) -> "AmdCertificate":
        """Return the certificate in ``data``, at most 8 KiB of DER. Raises MalformedError otherwise."""
        if len(data) > _MAX_SIZE:
            raise MalformedError(f"expected a certificate of at most {_MAX_SIZE} bytes")
        signed, rest = der.take(der.whole(data, der.SEQUENCE), der.SEQUENCE)
        number, after = der.take(signed.removeprefix(_VERSION_3), der.INTEGER)
        serial = der.unsigned(der.tlv(der.INTEGER, number))
        check_algorithm(after, rest)
        return cls(
            der=data,
            signed=der.tlv(der.SEQUENCE, signed),
            serial=serial,
            parsed=_load(data, zero_at=None if serial else len(data) - len(rest) - len(after) - 1),
        )

    @property
    def sha256(self) -> str:
        """The SHA-256 of the certificate (DER), in lower-case hex."""
        return sha256_hex(self.der)

    @property
    def key_sha256(self) -> str:
        """The SHA-256 of its key's SubjectPublicKeyInfo (DER), in lower-case hex."""
        return sha256_hex(self.parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def extension(self, oid: str) -> bytes | None:
        """Return the value of AMD's extension ``oid``, None when the certificate has none."""
        try:
            found = self.parsed.extensions.get_extension_for_oid(x509.ObjectIdentifier(oid)).value
        except x509.ExtensionNotFound:
            return None
        return cast("x509.UnrecognizedExtension", found).value

    def check_ca(self) -> None:
        """Raise SignatureError unless this certificate may certify others."""
        try:
            constraints = self.parsed.extensions.get_extension_for_class(x509.BasicConstraints).value
        except x509.ExtensionNotFound:
            constraints = x509.BasicConstraints(ca=False, path_length=None)
        if not constraints.ca:
            raise SignatureError(f"expected a certificate authority, not {self.name}")

    def check_time(self, at: datetime) -> None:
        """Raise SignatureError unless this certificate is valid at the aware moment ``at``."""
        first, last = self.parsed.not_valid_before_utc, self.parsed.not_valid_after_utc
        if not first <= at <= last:
            raise SignatureError(
                f"expected {self.name} to be valid at {at:%Y-%m-%d}; it is from {first:%Y-%m-%d} to {last:%Y-%m-%d}",
                code="not-yet-valid" if at < first else "expired",
            )

    def check_issuer(self, issuer: "AmdCertificate") -> None:
        """Raise SignatureError unless ``issuer`` signed this certificate."""
        if self.parsed.issuer != issuer.parsed.subject:
            raise SignatureError(f"expected {issuer.name} to be the issuer that {self.name} names")
        check_signature(self.parsed, issuer, self.signed, self.name)

    @property
    def name(self) -> str:
        """The common name of its subject, or all of it where there is none."""
        names = self.parsed.subject.get_attributes_for_oid(x509.OID_COMMON_NAME)
        return ascii(names[0].value if names else self.parsed.subject.rfc4514_string())[1:-1]


def check_algorithm(inner: bytes, outer: bytes) -> None:
    """Raise MalformedError unless ``inner`` begins with RSASSA-PSS, ``outer`` with the same, and ends in a signature.

    What names the algorithm outside is not signed, so it must not have a second spelling.
    """
    algorithm, _ = der.take(inner, der.SEQUENCE)
    again, signature = der.take(outer, der.SEQUENCE)
    if not algorithm.startswith(_RSASSA_PSS) or again != algorithm:
        raise MalformedError("expected a signature with RSASSA-PSS")
    if der.whole(signature, der.BIT_STRING)[:1] != b"\0":
        raise MalformedError("expected a signature of whole bytes")


def check_signature(
    signed: x509.Certificate | x509.CertificateRevocationList, issuer: AmdCertificate, content: bytes, name: str
) -> None:
    """Raise SignatureError unless the key of ``issuer`` signed ``content`` with the signature of ``signed``."""
    key = issuer.parsed.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise SignatureError(f"expected {issuer.name} to have an RSA key")
    try:
        key.verify(signed.signature, content, PSS, hashes.SHA384())
    except InvalidSignature as error:
        raise SignatureError(f"expected {issuer.name} to have signed {name}", code="signature") from error


def _load(data: bytes, *, zero_at: int | None) -> x509.Certificate:
    shown = data if zero_at is None else data[:zero_at] + b"\1" + data[zero_at + 1 :]
    try:
        certificate = certificate_of(shown)
        certificate.public_key()
        _ = certificate.extensions, certificate.subject, certificate.issuer
    except UNREADABLE as error:
        raise MalformedError("expected an X.509 certificate") from error
    return certificate
