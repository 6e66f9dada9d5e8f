"""Public keys: one spelling (SubjectPublicKeyInfo, DER), one scheme (ECDSA P-256 with SHA-256).

Rekor v2 refuses plain Ed25519 and in-toto accepts ECDSA, so the tasks of a cluster sign with P-256.
See: RFC 5480 (SPKI of elliptic curve keys), FIPS 186-5 (ECDSA).
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from airflow_provider_atlas.errors import MalformedError, SignatureError

SCHEME = "ecdsa-sha2-nistp256"
"""The name of the scheme in in-toto and securesystemslib."""


@dataclass(frozen=True)
class PublicKey:
    """An ECDSA P-256 public key. ``spki`` is its SubjectPublicKeyInfo in DER, in the one spelling."""

    spki: bytes

    @classmethod
    def parse(cls, spki: bytes) -> "PublicKey":
        """Return the key whose SubjectPublicKeyInfo (DER) is ``spki``.

        Raises MalformedError when it is not one, is of another kind, or is another spelling of one.
        """
        try:
            key = load_der_public_key(spki)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise MalformedError("expected a public key (SubjectPublicKeyInfo, DER)") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise MalformedError("expected an ECDSA P-256 public key")
        if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki:
            raise MalformedError("expected the public key in its one spelling")
        return cls(spki)

    @classmethod
    def from_pem(cls, pem: bytes) -> "PublicKey":
        """Return the key in ``pem``, a SubjectPublicKeyInfo. Raises MalformedError otherwise."""
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise MalformedError("expected a public key in PEM") from error
        return cls.parse(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    @cached_property
    def _key(self) -> ec.EllipticCurvePublicKey:
        key = load_der_public_key(self.spki)
        assert isinstance(key, ec.EllipticCurvePublicKey)  # noqa: S101 - parse() admits no other
        return key

    @property
    def pem(self) -> str:
        """The key as PEM, with a final newline."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")

    @property
    def sha256(self) -> str:
        """The SHA-256 of the SubjectPublicKeyInfo in lower-case hex: how people and policies name the key."""
        return hashlib.sha256(self.spki).hexdigest()

    @cached_property
    def keyid(self) -> str:
        """The key's id as securesystemslib 1.x computes it, so that in-toto finds the key of an envelope.

        It is the SHA-256, in lower-case hex, of the key's metadata in OLPC canonical JSON. That escapes quotes and
        backslashes only, so the PEM's newlines stay raw: canonical JSON of RFC 8785 would give another id.
        """
        olpc = f'{{"keytype":"ecdsa","keyval":{{"public":"{self.pem}"}},"scheme":"{SCHEME}"}}'
        return hashlib.sha256(olpc.encode("ascii")).hexdigest()

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check ``signature`` (DER) of ``message``. Raises SignatureError when it is not this key's."""
        try:
            self._key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise SignatureError("expected a signature by the key " + self.sha256) from error
