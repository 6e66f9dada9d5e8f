"""A time-stamp authority (RFC 3161) on a loopback port, with certificates of its own. It can be made to lie."""

import hashlib
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.post_server import serving_posts

DAY = timedelta(days=1)


class Authority:
    """Answers queries. ``clock`` tells its time; ``change`` may falsify what it is about to sign."""

    def __init__(self, *, purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.TIME_STAMPING) -> None:
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.change: Callable[[dict[str, Any]], dict[str, Any]] = lambda info: info
        root_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self._root = _certificate("root", root_key, "root", root_key, x509.BasicConstraints(True, None))
        usage = x509.ExtendedKeyUsage([purpose])
        self._own = _certificate("authority", self._key, "root", root_key, usage)

    @property
    def pem(self) -> bytes:
        """Its certificate, and its root's."""
        return b"".join(each.public_bytes(Encoding.PEM) for each in (self._own, self._root))

    def stamp(self, message: bytes) -> bytes:
        """Answer a query about ``message``, as the seam asks: without a wire."""
        imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": hashlib.sha256(message).digest()}
        return self.answer(tsp.TimeStampReq({"version": "v1", "message_imprint": imprint, "cert_req": True}).dump())

    def answer(self, query: bytes) -> bytes:
        """Return the response (DER) to ``query`` (DER)."""
        asked = tsp.TimeStampReq.load(query)
        info = {
            "version": "v1",
            "policy": "1.2.3.4.1",
            "message_imprint": asked["message_imprint"],
            "serial_number": int.from_bytes(os.urandom(15), "big"),
            "gen_time": self.clock().replace(microsecond=0),
        }
        if asked["nonce"].native is not None:
            info["nonce"] = asked["nonce"].native
        content = tsp.TSTInfo(self.change(info)).dump()
        token = cms.ContentInfo({"content_type": "signed_data", "content": self._signed(content)})
        return bytes(tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump())

    def _signed(self, content: bytes) -> cms.SignedData:
        own = asn1_x509.Certificate.load(self._own.public_bytes(Encoding.DER))
        attributes = _attributes(content, own, self.clock())
        signer = {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                {"issuer_and_serial_number": {"issuer": own.issuer, "serial_number": own.serial_number}}
            ),
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": self._key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
        }
        return cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [{"algorithm": "sha256"}],
                "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(content)},
                "certificates": [own],
                "signer_infos": [signer],
            }
        )


def _attributes(content: bytes, own: asn1_x509.Certificate, moment: datetime) -> cms.CMSAttributes:
    identity = tsp.ESSCertIDv2(
        {
            "hash_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
            "cert_hash": hashlib.sha256(own.dump()).digest(),
        }
    )
    told = {
        "content_type": "tst_info",
        "message_digest": hashlib.sha256(content).digest(),
        "signing_time": cms.Time({"utc_time": core.UTCTime(moment.replace(microsecond=0))}),
        "signing_certificate_v2": tsp.SigningCertificateV2({"certs": [identity]}),
    }
    return cms.CMSAttributes([cms.CMSAttribute({"type": name, "values": [value]}) for name, value in told.items()])


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now, is_root = datetime.now(UTC), name == issuer
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + 3650 * DAY)
        .add_extension(extension, critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=not is_root, key_cert_sign=is_root, crl_sign=is_root, **usage), True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
        .sign(issuer_key, hashes.SHA256())
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "example.org"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


@contextmanager
def serving(answer: Callable[[bytes], tuple[int, bytes]]) -> Generator[str]:
    """Serve ``answer``, which gives status and body for a posted body, on loopback; yield the URL."""
    with serving_posts("/tsa", answer, media_type="application/timestamp-reply") as url:
        yield f"{url}/tsa"
