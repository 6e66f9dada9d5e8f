"""The simulated vendor: a root, the CA of its platforms, one platform, and the key that signs TCB levels.

Each certificate's name says that it is not Intel's. Otherwise they follow Intel's profile, because verifiers look for
``SGX Root CA``, ``SGX PCK Platform CA``, ``SGX PCK Certificate`` and ``SGX TCB Signing`` in them.
See: Intel SGX PCK Certificate and Certificate Revocation List Profile Specification, §1.3.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from airflow_provider_atlas.tee.tdx.certification import PckChain
from airflow_provider_atlas.tee.tdx.simulation.p256 import raw_public_key
from airflow_provider_atlas.tee.tdx.simulation.pck_extension import SGX_EXTENSION, pck_extension

CPU_SVN = (3, 3, 2, 2, 4, 1, 0, 5, *[0] * 8)
"""The SVNs of the simulated CPU's components."""

PCE_SVN = 11
"""The SVN of the simulated provisioning certification enclave."""

FMSPC = bytes.fromhex("a71a50000000")
"""Family, model, stepping, platform and SKU of the simulated CPU: none of Intel's."""

_CRL_URL = "http://simulated-tee.invalid/root.crl"  # Intel's library refuses certificates without one
_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        """The certificate, as DER."""
        return self.certificate.public_bytes(Encoding.DER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A simulated vendor with its one platform, ``pck``. All certificates are valid from ``issued`` to ``expires``."""

    issued: datetime
    expires: datetime
    root: Holder
    ca: Holder
    pck: Holder
    tcb: Holder

    @classmethod
    def create(cls, *, issued: datetime, expires: datetime, cpu_svn: Sequence[int] = CPU_SVN) -> "Authority":
        """Return a new vendor with new keys, whose platform has the component SVNs ``cpu_svn``."""
        issuing = _Issuing(issued, expires)
        root = issuing.root("SGX Root CA")
        ca = issuing.issue("SGX PCK Platform CA", root, ca=True)
        return cls(
            issued=issued,
            expires=expires,
            root=root,
            ca=ca,
            pck=issuing.issue("SGX PCK Certificate", ca, cpu_svn=cpu_svn),
            tcb=issuing.issue("SGX TCB Signing", root),
        )

    def chain(self) -> PckChain:
        """Return the certificates that lead from the platform to the root."""
        return PckChain(pck=self.pck.der, ca=self.ca.der, root=self.root.der, terminated=True)


class _Issuing:
    def __init__(self, issued: datetime, expires: datetime) -> None:
        self._issued = issued
        self._expires = expires

    def root(self, name: str) -> Holder:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(name, key, _name(name), key)
        return Holder(key=key, certificate=_as_ca(builder, path_length=1).sign(key, hashes.SHA256()))

    def issue(self, name: str, issuer: Holder, *, ca: bool = False, cpu_svn: Sequence[int] = ()) -> Holder:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(name, key, issuer.certificate.subject, issuer.key)
        builder = _as_ca(builder, path_length=0) if ca else _as_signer(builder)
        if cpu_svn:
            builder = builder.add_extension(_platform(key, cpu_svn), critical=False)
        return Holder(key=key, certificate=builder.sign(issuer.key, hashes.SHA256()))

    def _builder(
        self, name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, issuer_key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        points = [x509.DistributionPoint([x509.UniformResourceIdentifier(_CRL_URL)], None, None, None)]
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._issued)
            .not_valid_after(self._expires)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
            .add_extension(x509.CRLDistributionPoints(points), critical=False)
        )


def _name(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"Simulated {name} (NOT INTEL)"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "airflow-provider-atlas simulated TEE"),
        ]
    )


def _as_ca(builder: x509.CertificateBuilder, *, path_length: int) -> x509.CertificateBuilder:
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True).add_extension(
        _usage("key_cert_sign", "crl_sign"), critical=True
    )


def _as_signer(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    return builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True).add_extension(
        _usage("digital_signature", "content_commitment"), critical=True
    )


def _usage(*usages: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in usages for usage in _KEY_USAGES})


def _platform(key: ec.EllipticCurvePrivateKey, cpu_svn: Sequence[int]) -> x509.UnrecognizedExtension:
    names = hashlib.sha256(raw_public_key(key)).digest()  # identifiers of a machine that does not exist
    content = pck_extension(ppid=names[:16], instance=names[16:], cpu_svn=cpu_svn, pce_svn=PCE_SVN, fmspc=FMSPC)
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(SGX_EXTENSION), content)
