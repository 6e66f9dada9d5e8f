"""A signer whose key is in memory: ECDSA P-256, made there or read from somewhere, and never shown.

It signs with ``cryptography`` itself and not through securesystemslib, whose import alone costs more than a task's
whole budget (ADR 0003). The signatures are the same kind and carry the same key id.

See: FIPS 186-5 and RFC 6979 (deterministic ECDSA).
"""

from typing import Self

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airflow_provider_atlas.errors import SigningError
from airflow_provider_atlas.signing.keys import PublicKey

# The first signature of a process would import the backend otherwise: 7 ms of every task, which a worker that imports
# this module before it forks pays once.
default_backend()


class MemoryKeySigner:
    """A Signer whose private key is in this process's memory."""

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
        self._private_key = private_key
        public = private_key.public_key()
        self._public_key = PublicKey.parse(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    @classmethod
    def generate(cls) -> Self:
        """Return a signer with a new key, which ends with this process and those that it forks."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @property
    def public_key(self) -> PublicKey:
        """The public half, by which a relying party knows this signer."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Return the signature of ``message`` in DER, the same for the same message. Raises SigningError."""
        try:
            # Deterministic, because a virtual machine that is cloned may draw the same randomness twice, and two
            # signatures with one random number give the key away. A record that is made again is equal, too.
            return self._private_key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        except UnsupportedAlgorithm as error:
            raise SigningError("expected deterministic ECDSA (RFC 6979): OpenSSL 3.2 or newer has it") from error
        except (InternalError, ValueError) as error:
            raise SigningError("the key could not sign") from error
