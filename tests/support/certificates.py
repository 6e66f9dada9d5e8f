"""Certificate authorities of our own, for tests of chains: each thing that a chain must not be can be had."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

ISSUED = datetime(2026, 1, 1, tzinfo=UTC)
EXPIRES = ISSUED + timedelta(days=365)


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A private key with a certificate, and the holders above it."""

    key: Any
    certificate: x509.Certificate
    above: tuple["Holder", ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The certificates from this one to the root."""
        return (self.der, *(each.der for each in self.above))

    def issue(self, name: str, key: Any = None, **profile: Any) -> "Holder":
        """Return a holder that this one certified."""
        key = key or ec.generate_private_key(ec.SECP384R1())
        certificate = _certificate(name, key.public_key(), self.certificate.subject, self.key, **profile)
        return Holder(key=key, certificate=certificate, above=(self, *self.above))


def root(name: str = "Simulated Root (NOT A VENDOR)", **profile: Any) -> Holder:
    """Return a holder that certified itself."""
    key = ec.generate_private_key(ec.SECP384R1())
    return Holder(key=key, certificate=_certificate(name, key.public_key(), _name(name), key, ca=True, **profile))


def _certificate(
    name: str,
    key: Any,
    issuer: x509.Name,
    signer: Any,
    *,
    ca: bool = False,
    path_length: int | None = None,
    cert_sign: bool = True,
    begins: datetime = ISSUED,
    ends: datetime = EXPIRES,
    critical: str = "",
    extensions: Mapping[str, bytes] = {},
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
        .add_extension(_usage(cert_sign and ca), critical=True)
    )
    if critical:
        strange = x509.UnrecognizedExtension(x509.ObjectIdentifier(critical), b"\x05\x00")
        builder = builder.add_extension(strange, critical=True)
    for number, content in extensions.items():
        value = x509.UnrecognizedExtension(x509.ObjectIdentifier(number), content)
        builder = builder.add_extension(value, critical=False)
    return builder.sign(signer, hashes.SHA384())


def _usage(cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
