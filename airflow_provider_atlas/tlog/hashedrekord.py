"""The leaf that is logged for an envelope: its digest, its signature and the key, and nothing of what it says.

::

    {"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256",
    "digest":"<base64>"},"signature":{"content":"<base64>","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256",
    "publicKey":{"rawBytes":"<base64>"}}}}}}

Of a signer that has a certificate, ``x509Certificate`` stands in the place of ``publicKey``.

On one line it is byte for byte what Rekor v2 logs, so that a receipt of any log here can stand in a Sigstore bundle.

See: rekor-tiles, ``HashedRekordLogEntryV002`` (kind ``hashedrekord``, version 0.0.2), RFC 8785.
"""

from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from airflow_provider_atlas.encoding import (
    Fields,
    JsonObject,
    b64decode,
    b64encode,
    canonical_json,
    parse_canonical_json,
)
from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tlog.tile import MAX_ENTRY_BYTES
from airflow_provider_atlas.x509 import certificate_of

KEY_DETAILS = "PKIX_ECDSA_P256_SHA_256"
"""The one kind of key and hash that is logged, as Sigstore's protobuf calls it."""

_SCHEME = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedRekord:
    """``signature`` (DER) of a message with the SHA-256 ``digest``, by the P-256 key ``spki`` (SubjectPublicKeyInfo).

    A signer that has a ``certificate`` (X.509, DER) is named by that, and ``spki`` is empty. For an envelope the
    message is its pre-authentication encoding (DSSE). Nothing here has been verified before ``verify``.
    """

    digest: bytes
    signature: bytes
    spki: bytes = b""
    certificate: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> "HashedRekord":
        """Return the leaf in ``data``. Raises MalformedError when it is none, or names another algorithm."""
        if len(data) > MAX_ENTRY_BYTES:
            raise MalformedError(f"expected a log entry of at most {MAX_ENTRY_BYTES} bytes")
        entry = Fields(parse_canonical_json(data), "the log entry")
        entry.one_of("apiVersion", "0.0.2")
        entry.one_of("kind", "hashedrekord")
        spec = entry.fields("spec")
        entry.end()
        record = spec.fields("hashedRekordV002")
        spec.end()
        leaf = cls(digest=_parse_data(record.fields("data")), **parse_signature(record.fields("signature")))
        record.end()
        return leaf

    def to_bytes(self) -> bytes:
        """Return the leaf in its one spelling, canonical JSON."""
        data: JsonObject = {"algorithm": "SHA2_256", "digest": b64encode(self.digest)}
        record: JsonObject = {"data": data, "signature": self.signature_json()}
        return canonical_json({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": record}})

    def signature_json(self) -> JsonObject:
        """Return the member ``signature`` of the leaf, and of a request to log it."""
        named, raw = ("x509Certificate", self.certificate) if self.certificate else ("publicKey", self.spki)
        verifier: JsonObject = {"keyDetails": KEY_DETAILS, named: {"rawBytes": b64encode(raw)}}
        return {"content": b64encode(self.signature), "verifier": verifier}

    def verify(self) -> None:
        """Check that the key signed a message with this digest. Whom a certificate names is nobody's question here.

        Raises SignatureError when it did not, and MalformedError when there is no P-256 key in its one spelling, or no
        certificate of one.
        """
        key = _certified_key(self.certificate) if self.certificate else _key(self.spki)
        try:
            key.verify(self.signature, self.digest, _SCHEME)
        except InvalidSignature as error:
            raise SignatureError("expected a signature of the digest by the key of the log entry") from error


@lru_cache(maxsize=1024)  # a cluster has few keys and many entries, and reading a key costs as much as verifying
def _key(spki: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MalformedError("expected a public key (SubjectPublicKeyInfo, DER)") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise MalformedError("expected an ECDSA P-256 public key")
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki:
        raise MalformedError("expected the public key in its one spelling")
    return key


def _certified_key(certificate: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = certificate_of(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MalformedError("expected a certificate (X.509, DER) of a key") from error
    return _key(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _parse_data(data: Fields) -> bytes:
    data.one_of("algorithm", "SHA2_256")
    digest = b64decode(data.text("digest"))
    data.end()
    if len(digest) != 32:
        raise MalformedError("expected the digest of the log entry to be a SHA-256")
    return digest


def parse_signature(signature: Fields) -> dict[str, bytes]:
    """Return ``signature`` and ``spki`` or ``certificate``, as ``signature_json`` gave them; all are unverified.

    Raises MalformedError otherwise.
    """
    content = b64decode(signature.text("content"))
    verifier = signature.fields("verifier")
    signature.end()
    verifier.one_of("keyDetails", KEY_DETAILS)
    member, named = ("publicKey", "spki") if verifier.has("publicKey") else ("x509Certificate", "certificate")
    raw = verifier.fields(member)
    verifier.end()
    key = b64decode(raw.text("rawBytes"))
    raw.end()
    if not content or not key:
        raise MalformedError("expected the log entry to hold a signature, and a key or certificate")
    return {"signature": content, named: key}
