"""The seam to a private key."""

from typing import Protocol

from airflow_provider_atlas.signing.keys import PublicKey


class Signer(Protocol):
    """Something that holds a private key and signs with it."""

    @property
    def public_key(self) -> PublicKey:
        """The public half, by which a relying party knows this signer."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature of ``message`` in the encoding of the key's scheme (ECDSA: DER).

        Raises SigningError when the key or its service refuses.
        """
        ...
