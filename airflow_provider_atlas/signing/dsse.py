"""DSSE envelopes: a payload, its type, and who signed the two together.

::

    {"payload": "eyJ…", "payloadType": "application/vnd.in-toto+json",
     "signatures": [{"keyid": "84f7…", "sig": "MEUC…"}]}

Ours have one signature, and one spelling: canonical JSON. The digest of those bytes names the envelope.
See: https://github.com/secure-systems-lab/dsse (protocol.md, envelope.md), version 1.0.2.
"""

from dataclasses import dataclass

from airflow_provider_atlas.encoding import Fields, Json, JsonObject, b64decode, b64encode, canonical_json, sha256_hex
from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.signing.signer import Signer


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that a DSSE signature covers (pre-authentication encoding). Lengths count bytes.

    >>> pae("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A signed payload. Until ``verify`` returned, nothing in it is known to come from anybody."""

    payload: bytes
    payload_type: str
    keyid: str
    signature: bytes

    @classmethod
    def parse(cls, value: Json) -> "Envelope":
        """Return the envelope that ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "the envelope")
        signatures = fields.items("signatures")
        if len(signatures) != 1:
            raise MalformedError("expected an envelope with one signature")
        signature = Fields(signatures[0], "the signature")
        envelope = cls(
            payload=b64decode(fields.text("payload")),
            payload_type=fields.text("payloadType"),
            keyid=signature.text("keyid"),
            signature=b64decode(signature.text("sig")),
        )
        signature.end()
        fields.end()
        return envelope

    def to_json(self) -> JsonObject:
        """Return the JSON object of this envelope."""
        return {
            "payload": b64encode(self.payload),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": self.keyid, "sig": b64encode(self.signature)}],
        }

    def to_bytes(self) -> bytes:
        """Return this envelope in canonical JSON: an in-toto ``.link`` file is these bytes."""
        return canonical_json(self.to_json())

    @property
    def sha256(self) -> str:
        """The SHA-256 of ``to_bytes`` in hex, by which other records refer to this one."""
        return sha256_hex(self.to_bytes())

    @property
    def pae(self) -> bytes:
        """The bytes that the signature covers."""
        return pae(self.payload_type, self.payload)

    def verify(self, key: PublicKey, payload_type: str) -> bytes:
        """Return the payload, which ``key`` signed as being of ``payload_type``.

        Raises SignatureError when it is of another type, names another key, or is not signed by ``key``.
        """
        if self.payload_type != payload_type or self.keyid != key.keyid:
            raise SignatureError(f"expected an envelope of {payload_type} that names the key {key.sha256}")
        key.verify(self.signature, self.pae)
        return self.payload


def sign(payload: bytes, payload_type: str, signer: Signer) -> Envelope:
    """Return ``payload`` in an envelope signed by ``signer``. Raises SigningError when it refuses."""
    return Envelope(
        payload=payload,
        payload_type=payload_type,
        keyid=signer.public_key.keyid,
        signature=signer.sign(pae(payload_type, payload)),
    )
