"""The seam to a private key."""

from typing import Protocol, runtime_checkable

from airflow_provider_atlas.signing.certificate import Certificate
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


class CertifiedSigner(Signer, Protocol):
    """A Signer whose key was made for some minutes, with the certificate that says whose it is."""

    @property
    def certificate(self) -> Certificate:
        """The certificate of ``public_key``."""
        ...


@runtime_checkable
class KeylessSigner(Signer, Protocol):
    """A Signer that has no key to be known by: it makes one when it needs one, and has it certified."""

    def certified(self) -> CertifiedSigner:
        """Return the key that is in use now. What it returned before stays as it was, and ends with its certificate.

        Raises SigningError when there is no certificate to be had.
        """
        ...
