"""X.509 chains of attestation keys: from the key's certificate, issuer by issuer, to a root that somebody pinned.

See: RFC 5280 §6 (path validation), for what is checked; names, policies and revocation are not.
"""

import warnings
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning

from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.x509 import certificate_of

Kind = TypeVar("Kind", bound=x509.ExtensionType)

# The library reads a certificate's parts when they are asked for, and each in its own way refuses what is not there.
_UNREADABLE = (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)

_MAX_CERTIFICATES = 10
_MAX_BYTES = 16 * 1024


def parse_chain(chain: Sequence[bytes], what: str) -> tuple[x509.Certificate, ...]:
    """Return the certificates in ``chain`` (DER). Raises MalformedError that names ``what`` for anything else."""
    if not 1 <= len(chain) <= _MAX_CERTIFICATES or any(len(der) > _MAX_BYTES for der in chain):
        raise MalformedError(f"expected {what} to have 1 to {_MAX_CERTIFICATES} certificates of at most 16 KiB")
    with warnings.catch_warnings():
        # Vendors give serial numbers that RFC 5280 does not allow; what is signed all the same is read.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return tuple(certificate_of(der, f"{what} to be X.509 certificates in DER") for der in chain)


def verify_chain(chain: Sequence[x509.Certificate], *, at: datetime, understood: Collection[str] = frozenset()) -> None:
    """Return when each certificate of ``chain``, key first and root last, was issued by the next one.

    All must be valid at the aware moment ``at``, and all but the first may issue others. ``understood`` are critical
    extensions (dotted numbers) that the caller reads by itself. Whether the root is a trusted one is for the caller.
    Raises SignatureError otherwise.
    """
    try:
        _verify(chain, at, understood)
    except _UNREADABLE as error:
        raise SignatureError("expected certificates whose names, dates and extensions can be read") from error


def _verify(chain: Sequence[x509.Certificate], at: datetime, understood: Collection[str]) -> None:
    for certificate in chain:
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            raise SignatureError(
                f"expected the certificate {_name(certificate)} to be valid at {at.isoformat()}",
                code="not-yet-valid" if at < certificate.not_valid_before_utc else "expired",
            )
        _check_extensions(certificate, understood)
    for below, issuer in enumerate(chain[1:]):
        _check_issuer(issuer, below)
    for certificate, issuer in zip(chain, [*chain[1:], chain[-1]], strict=True):
        _check_issued(certificate, issuer)


def check_p384_signature(signer: x509.Certificate, signature: bytes, message: bytes, what: str) -> None:
    """Return when the P-384 key of ``signer`` made ``signature`` (r ‖ s, 96 bytes) over ``message``, with SHA-384.

    Raises SignatureError that names ``what`` otherwise, also for a key of another kind.
    """
    try:
        key = signer.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
            raise SignatureError(f"expected a key on P-384 to have signed {what}")
        r, s = (int.from_bytes(half, "big") for half in (signature[:48], signature[48:]))
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA384()))
    except (ValueError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise SignatureError(
            f"expected the key of its first certificate to have signed {what}", code="signature"
        ) from error


def spki_of(certificate: x509.Certificate) -> bytes:
    """Return the SubjectPublicKeyInfo (DER) that ``certificate`` is of. Raises MalformedError for an unknown kind."""
    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedError("expected a certificate of a key that can be read") from error


def _check_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise SignatureError(
            f"expected {_name(issuer)} to have issued {_name(certificate)}", code="signature"
        ) from error


def _check_issuer(issuer: x509.Certificate, below: int) -> None:
    """Refuse an issuer that is none, or that has more than it may of other issuers ``below`` it."""
    constraints = _extension(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise SignatureError(f"expected {_name(issuer)} to be an authority, which its certificate does not say")
    if constraints.path_length is not None and constraints.path_length < below:
        raise SignatureError(f"expected {_name(issuer)} to have at most {constraints.path_length} authorities below it")
    usage = _extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise SignatureError(f"expected {_name(issuer)} to be allowed to sign certificates")


def _check_extensions(certificate: x509.Certificate, understood: Collection[str]) -> None:
    strange = {
        extension.oid.dotted_string
        for extension in certificate.extensions
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension)
    }
    if unknown := strange - set(understood):
        raise SignatureError(f"expected no critical extension {min(unknown)} in {_name(certificate)}")


def _extension(certificate: x509.Certificate, kind: type[Kind]) -> Kind | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _name(certificate: x509.Certificate) -> str:
    return ascii(certificate.subject.rfc4514_string()[:100])
