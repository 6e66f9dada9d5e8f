"""A Fulcio with its certificate transparency log, and the identity provider whose tokens it takes; on loopback.

What it issues is as Fulcio's: ten minutes, no subject, one identity, the issuer of the token, an embedded SCT. The root
issues an intermediate, and that the certificates. ``change`` may falsify what is about to be issued, and ``log``, which
gives the SCTs of a precertificate, what the log says of it.
"""

import base64
import json
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from airflow_provider_atlas.signing.trust import TrustedFulcio
from airflow_provider_atlas.tlog.timestamp import TrustedAuthority
from airflow_provider_atlas.verify.identity_policy import IdentityTrust
from tests.support.post_server import serving_posts
from tests.support.time_stamping import Authority, serving

IDENTITY, ISSUER = "https://cluster.example/ns/airflow/sa/worker", "https://oidc.cluster.example"
SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_SECRET = "the identity provider's own secret, which signs tokens"
_DAY, _LIFE = timedelta(days=1), timedelta(minutes=10)
_USAGES = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")


def token(*, identity: str = IDENTITY, issuer: str = ISSUER, audience: str = "sigstore", life: int = 600) -> str:
    """Return an identity token that holds for ``life`` seconds."""
    now = int(time.time())
    claims = {"iss": issuer, "sub": identity, "aud": audience, "iat": now - 1, "exp": now + life}
    return jwt.encode(claims, _SECRET, algorithm="HS256")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is about to be issued: for which key, to whom, from when, for which purpose."""

    spki: ec.EllipticCurvePublicKey
    identity: str
    issuer: str
    begins: datetime
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING
    signs: bool = True
    extensions: tuple[x509.ExtensionType, ...] = ()


@dataclass
class Fulcio:
    """Issues certificates, each logged."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    change: Callable[[Wanted], Wanted] = lambda wanted: wanted

    def __post_init__(self) -> None:
        root_key, self._key, self.ct_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        root = _authority("root", "root", root_key, root_key)
        self.log: Callable[[bytes], list[bytes]] = lambda body: [self.sct(body)]
        self.chain = [_authority("intermediate", "root", self._key, root_key), root]

    @property
    def pem(self) -> str:
        """The certificates that a policy names: the issuing one, and its root."""
        return "".join(each.public_bytes(Encoding.PEM).decode() for each in self.chain)

    @property
    def ct_pem(self) -> str:
        """The key of the certificate transparency log."""
        return self.ct_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def issue(self, wanted: Wanted) -> x509.Certificate:
        """Issue a certificate: first what the log is shown, then the same with the log's word in it."""
        wanted = self.change(wanted)
        builder = self._builder(wanted)
        scts = self.log(builder.sign(self._key, hashes.SHA256()).tbs_certificate_bytes)
        if scts:
            sized = b"".join(struct.pack(">H", len(sct)) + sct for sct in scts)
            value = core.OctetString(struct.pack(">H", len(sized)) + sized).dump()
            builder = builder.add_extension(x509.UnrecognizedExtension(SCT_LIST, value), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def sct(self, body: bytes, key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
        """Return the log's signed certificate timestamp (RFC 6962 §3.2) of a precertificate's ``body``."""
        key, moment = key or self.ct_key, int(self.clock().timestamp() * 1000)
        issuer = _sha256(_spki(self._key))
        signed = struct.pack(">BBQH", 0, 0, moment, 1) + issuer + len(body).to_bytes(3, "big") + body + b"\0\0"
        signature = key.sign(signed, ec.ECDSA(hashes.SHA256()))
        head = b"\0" + _sha256(_spki(key)) + struct.pack(">Q", moment) + b"\0\0"
        return head + b"\x04\x03" + struct.pack(">H", len(signature)) + signature

    def answer(self, body: bytes) -> tuple[int, bytes]:
        """Answer a request of ``POST /api/v2/signingCert``."""
        asked = json.loads(body)
        request = x509.load_pem_x509_csr(base64.b64decode(asked["certificateSigningRequest"]))
        try:
            claims = jwt.decode(asked["credentials"]["oidcIdentityToken"], _SECRET, ["HS256"], audience="sigstore")
        except jwt.InvalidTokenError as error:
            return 401, json.dumps({"code": 16, "message": f"invalid token: {error}", "details": []}).encode()
        key = request.public_key()
        assert request.is_signature_valid
        assert isinstance(key, ec.EllipticCurvePublicKey)
        begins = self.clock().replace(microsecond=0)
        own = self.issue(Wanted(spki=key, identity=claims["sub"], issuer=claims["iss"], begins=begins))
        chain = [each.public_bytes(Encoding.PEM).decode() for each in (own, *self.chain)]
        return 200, json.dumps({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}).encode()

    def _builder(self, wanted: Wanted) -> x509.CertificateBuilder:
        uri = "://" in wanted.identity
        name = x509.UniformResourceIdentifier(wanted.identity) if uri else x509.RFC822Name(wanted.identity)
        issuer = core.UTF8String(wanted.issuer).dump()
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.chain[0].subject)
            .public_key(wanted.spki)
            .serial_number(x509.random_serial_number())
            .not_valid_before(wanted.begins)
            .not_valid_after(wanted.begins + _LIFE)
            .add_extension(_usage(digital_signature=wanted.signs, key_agreement=not wanted.signs), critical=True)
            .add_extension(x509.ExtendedKeyUsage([wanted.purpose]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(wanted.spki), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(_oid("1", wanted.issuer.encode()), critical=False)
            .add_extension(_oid("8", issuer), critical=False)
        )
        for extension in wanted.extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder


@dataclass(frozen=True, kw_only=True)
class Keyless:
    """What a deployment without keys has, on loopback: a Fulcio, a time-stamp authority, and a worker's token."""

    fulcio: Fulcio
    authority: Authority
    section: Mapping[str, str]

    @property
    def trust(self) -> IdentityTrust:
        """Whose word a policy takes."""
        return IdentityTrust(
            fulcio=TrustedFulcio.from_pem(self.fulcio.pem.encode(), [self.fulcio.ct_pem.encode()]),
            authority=TrustedAuthority.from_pem("ours", self.authority.pem),
        )


@contextmanager
def keyless(folder: Path) -> Iterator[Keyless]:
    """Serve what a deployment without keys needs; ``section`` has the settings that name it."""
    fulcio, authority, path = Fulcio(), Authority(), folder / "token"
    path.touch(0o600)
    path.write_text(token())
    with serving_fulcio(fulcio.answer) as url, serving(lambda query: (200, authority.answer(query))) as tsa:
        section = {"signer": f"fulcio:{url}", "signer_token_file": str(path), "tsa": tsa}
        yield Keyless(fulcio=fulcio, authority=authority, section=section)


def serving_fulcio(answer: Callable[[bytes], tuple[int, bytes]]) -> AbstractContextManager[str]:
    """Serve ``answer``, which gives status and body for a posted body, on loopback; yield the URL."""
    return serving_posts("/api/v2/signingCert", answer, media_type="application/json")


def _authority(
    name: str, issuer: str, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 3650 * _DAY)
        .not_valid_after(now + 3650 * _DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _usage(**allowed: bool) -> x509.KeyUsage:
    names = (*_USAGES, "decipher_only", "digital_signature", "key_cert_sign", "crl_sign")
    return x509.KeyUsage(**{**dict.fromkeys(names, False), **allowed})


def _name(common_name: str) -> x509.Name:
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "fulcio.example")
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _oid(last: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{last}"), value)


def _spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _sha256(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize()
