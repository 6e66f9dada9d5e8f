"""The leaf that is logged for an envelope: its digest, its signature and the key, and nothing of what it says.

::

    {"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256",
    "digest":"<base64>"},"signature":{"content":"<base64>","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256",
    "publicKey":{"rawBytes":"<base64>"}}}}}}

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

KEY_DETAILS = "PKIX_ECDSA_P256_SHA_256"
"""The one kind of key and hash that is logged, as Sigstore's protobuf calls it."""

_SCHEME = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedRekord:
    """``signature`` (DER) of a message with the SHA-256 ``digest``, by the P-256 key ``spki`` (SubjectPublicKeyInfo).

    For an envelope the message is its pre-authentication encoding (DSSE). Nothing here has been verified
    before ``verify``.
    """

    digest: bytes
    signature: bytes
    spki: bytes

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
        leaf = cls(**_parse_data(record.fields("data")), **_parse_signature(record.fields("signature")))
        record.end()
        return leaf

    def to_bytes(self) -> bytes:
        """Return the leaf in its one spelling, canonical JSON."""
        data: JsonObject = {"algorithm": "SHA2_256", "digest": b64encode(self.digest)}
        verifier: JsonObject = {"keyDetails": KEY_DETAILS, "publicKey": {"rawBytes": b64encode(self.spki)}}
        record: JsonObject = {
            "data": data,
            "signature": {"content": b64encode(self.signature), "verifier": verifier},
        }
        return canonical_json({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": record}})

    def verify(self) -> None:
        """Check that the key signed a message with this digest.

        Raises SignatureError when it did not, and MalformedError when ``spki`` is no P-256 key in its one spelling.
        """
        try:
            _key(self.spki).verify(self.signature, self.digest, _SCHEME)
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


def _parse_data(data: Fields) -> dict[str, bytes]:
    data.one_of("algorithm", "SHA2_256")
    digest = b64decode(data.text("digest"))
    data.end()
    if len(digest) != 32:
        raise MalformedError("expected the digest of the log entry to be a SHA-256")
    return {"digest": digest}


def _parse_signature(signature: Fields) -> dict[str, bytes]:
    content = b64decode(signature.text("content"))
    verifier = signature.fields("verifier")
    signature.end()
    verifier.one_of("keyDetails", KEY_DETAILS)
    key = verifier.fields("publicKey")
    verifier.end()
    spki = b64decode(key.text("rawBytes"))
    key.end()
    if not content or not spki:
        raise MalformedError("expected the log entry to hold a signature and a key")
    return {"signature": content, "spki": spki}
