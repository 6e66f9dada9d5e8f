"""Signing certificates: who had a key, for some minutes, by the word of a certificate authority (Fulcio).

A worker without a key of its own makes one, shows the authority an identity token, and gets a certificate of the key,
the identity (its one subject alternative name) and the issuer of the token. Nothing of it is believed here: see
``signing.trust``.

See: RFC 5280; Sigstore's Fulcio, ``docs/certificate-specification.md`` and ``docs/oid-info.md``.
"""

from dataclasses import dataclass
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.x509 import certificate_of

MAX_CERTIFICATE_BYTES = 16_384
"""The largest certificate that is looked at. Fulcio's have 600 to 1,200 bytes; a log entry has 65,535 at most."""

_OIDC_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_UTF8_STRING = 0x0C


@dataclass(frozen=True)
class Certificate:
    """An X.509 certificate of an ECDSA P-256 key, as Fulcio issues it. ``der`` is its one spelling: no BER is read."""

    der: bytes

    @classmethod
    def parse(cls, der: bytes) -> "Certificate":
        """Return the certificate in ``der``.

        Raises MalformedError when it is none, names no identity or issuer, or is of a key of another kind.
        """
        if len(der) > MAX_CERTIFICATE_BYTES:
            raise MalformedError(f"expected a certificate of at most {MAX_CERTIFICATE_BYTES} bytes")
        certificate = cls(der)
        try:
            _ = certificate.public_key, certificate.identity, certificate.issuer
        except MalformedError:
            raise
        except Exception as error:  # of a stranger's certificates, cryptography says a dozen things
            raise MalformedError("expected a certificate (X.509, DER) of an identity and its issuer") from error
        return certificate

    @cached_property
    def parsed(self) -> x509.Certificate:
        """The certificate, as cryptography has it."""
        return certificate_of(self.der)

    @cached_property
    def public_key(self) -> PublicKey:
        """The key that the certificate is of."""
        key = self.parsed.public_key()
        return PublicKey.parse(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    @cached_property
    def identity(self) -> str:
        """Who had the key: a URI or a mail address."""
        names = list(self.parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        if len(names) != 1 or not isinstance(names[0], x509.UniformResourceIdentifier | x509.RFC822Name):
            raise MalformedError("expected a certificate of one identity, a URI or a mail address")
        return names[0].value

    @cached_property
    def issuer(self) -> str:
        """Who vouched for the identity before the authority: the issuer of the token, a URL."""
        extension = self.parsed.extensions.get_extension_for_oid(_OIDC_ISSUER).value
        return _utf8_string(extension.public_bytes())


def _utf8_string(der: bytes) -> str:
    """Return the text of a UTF8String (X.690 §8.23), whose length must be spelled as DER does."""
    head = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    text = der[head:]
    length = len(text).to_bytes((len(text).bit_length() + 7) // 8 or 1, "big")
    if len(text) >= 0x80:
        length = bytes([0x80 | len(length)]) + length
    if der[:head] != bytes([_UTF8_STRING]) + length:
        raise MalformedError("expected the issuer in a certificate to be a UTF8String (DER)")
    return text.decode("utf-8")
