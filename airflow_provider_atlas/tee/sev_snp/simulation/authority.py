"""The simulated vendor: a root (ARK), what it certifies platforms with (ASK, or ASVK for clouds), and one leaf.

Each certificate's name says that it is not AMD's. Otherwise they follow AMD's profile, but for one thing: the serial
numbers of VCEKs, which AMD leaves at zero, are numbers here, so that a revocation list can name one.
See: VCEK Certificate and KDS Interface Specification (AMD 57230) §3.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from airflow_provider_atlas.tee.der import IA5_STRING, tlv, to_unsigned
from airflow_provider_atlas.tee.pem import to_pem
from airflow_provider_atlas.tee.sev_snp.certificate import PSS
from airflow_provider_atlas.tee.sev_snp.endorsement_key import AMD_ARC, CSP_ID_OID, HWID_OID, PRODUCT_OID, SVN_OIDS
from airflow_provider_atlas.tee.sev_snp.simulation.guest import tcb_of
from airflow_provider_atlas.tee.sev_snp.tcb import Product, layout

Key = TypeVar("Key", rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)

_KEY_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder(Generic[Key]):
    """A key and its certificate."""

    key: Key
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        """The certificate, as DER."""
        return self.certificate.public_bytes(Encoding.DER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A simulated vendor with its one platform, whose key is ``leaf``. All is valid from ``issued`` to ``expires``."""

    issued: datetime
    expires: datetime
    product: Product
    ark: Holder[rsa.RSAPrivateKey]
    ask: Holder[rsa.RSAPrivateKey]
    leaf: Holder[ec.EllipticCurvePrivateKey]

    @classmethod
    def create(
        cls, product: Product, *, issued: datetime, expires: datetime, csp_id: str | None = None, key_size: int = 4096
    ) -> "Authority":
        """Return a new vendor with new keys. Its platform signs with a VLEK lent to ``csp_id``, or else with a VCEK.

        AMD's own RSA keys have 4096 bits, which take a second to make.
        """
        issuing = _Issuing(issued, expires)
        lent = "" if csp_id is None else "VLEK-"
        ark = issuing.root(f"ARK-{product}", key_size)
        ask = issuing.intermediate(f"SEV-{lent}{product}", ark, key_size)
        return cls(
            issued=issued,
            expires=expires,
            product=product,
            ark=ark,
            ask=ask,
            leaf=issuing.leaf(ask, product, tcb_of(product), csp_id),
        )

    @property
    def chip_id(self) -> bytes:
        """The chip that a VCEK is of, as a report spells it: 64 bytes, of a machine that does not exist."""
        return _hwid(self.leaf.key, self.product).ljust(64, b"\0")

    @property
    def root_sha256(self) -> str:
        """What a policy names to accept this vendor: the SHA-256 of its root certificate, in lower-case hex."""
        return hashlib.sha256(self.ark.der).hexdigest()

    def chain(self) -> bytes:
        """Return the certificates that lead from the platform to the root, as PEM."""
        return to_pem(self.leaf.der, self.ask.der, self.ark.der)

    def revocation_list(self, revoked: Collection[x509.Certificate] = ()) -> bytes:
        """Return the list (DER) by which the root revokes these certificates."""
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.ark.key.public_key())
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.ark.certificate.subject)
            .last_update(self.issued)
            .next_update(self.expires)
            .add_extension(x509.CRLNumber(4), critical=False)
            .add_extension(identifier, critical=False)
        )
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(self.issued).build())
        return builder.sign(self.ark.key, hashes.SHA384(), rsa_padding=PSS).public_bytes(Encoding.DER)


class _Issuing:
    def __init__(self, issued: datetime, expires: datetime) -> None:
        self._issued = issued
        self._expires = expires

    def root(self, name: str, key_size: int) -> Holder[rsa.RSAPrivateKey]:
        key = rsa.generate_private_key(public_exponent=65537, key_size=key_size)
        builder = _as_ca(self._builder(name, key.public_key(), _name(name)), "key_cert_sign", "crl_sign")
        return Holder(key=key, certificate=builder.sign(key, hashes.SHA384(), rsa_padding=PSS))

    def intermediate(self, name: str, issuer: Holder[rsa.RSAPrivateKey], key_size: int) -> Holder[rsa.RSAPrivateKey]:
        key = rsa.generate_private_key(public_exponent=65537, key_size=key_size)
        builder = _as_ca(self._builder(name, key.public_key(), issuer.certificate.subject), "key_cert_sign")
        return Holder(key=key, certificate=builder.sign(issuer.key, hashes.SHA384(), rsa_padding=PSS))

    def leaf(
        self, issuer: Holder[rsa.RSAPrivateKey], product: Product, tcb: bytes, csp_id: str | None
    ) -> Holder[ec.EllipticCurvePrivateKey]:
        key = ec.generate_private_key(ec.SECP384R1())
        name = "SEV-VCEK" if csp_id is None else "SEV-VLEK"
        builder = self._builder(name, key.public_key(), issuer.certificate.subject)
        for oid, value in leaf_extensions(product, tcb, hwid=_hwid(key, product), csp_id=csp_id):
            extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
            builder = builder.add_extension(extension, critical=False)
        return Holder(key=key, certificate=builder.sign(issuer.key, hashes.SHA384(), rsa_padding=PSS))

    def _builder(
        self, name: str, key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey, issuer: x509.Name
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._issued)
            .not_valid_after(self._expires)
        )


def leaf_extensions(product: Product, tcb: bytes, *, hwid: bytes, csp_id: str | None) -> Sequence[tuple[str, bytes]]:
    """Return AMD's extensions, OID and value, of a VLEK lent to ``csp_id``, or else of the VCEK of ``hwid``."""
    stepping = "" if product == "Turin" or csp_id is not None else "-B0"
    svns = [(SVN_OIDS[name], to_unsigned(svn)) for name, svn in zip(layout(product), tcb, strict=True)]
    return (
        (f"{AMD_ARC}.1", to_unsigned(1 if product == "Turin" else 0)),
        (PRODUCT_OID, tlv(IA5_STRING, f"{product}{stepping}".encode("ascii"))),
        *svns,
        (HWID_OID, hwid) if csp_id is None else (CSP_ID_OID, tlv(IA5_STRING, csp_id.encode("ascii"))),
    )


def _hwid(key: ec.EllipticCurvePrivateKey, product: Product) -> bytes:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha512(public).digest()[: 8 if product == "Turin" else 64]


def _name(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"Simulated {name} (NOT AMD)"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "airflow-provider-atlas simulated TEE"),
        ]
    )


def _as_ca(builder: x509.CertificateBuilder, *usages: str) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(**{name: name in usages for name in _KEY_USAGES})
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    return builder.add_extension(constraints, critical=True).add_extension(usage, critical=True)
