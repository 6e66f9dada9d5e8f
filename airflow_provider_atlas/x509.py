"""X.509 at the doorstep: certificates and revocation lists of strangers, read or refused, and nothing else.

``cryptography`` refuses a version that it does not know by an exception that is no ValueError, so whoever catches the
one it documents lets the other through. Only here it is asked to read; what is in what it read is each reader's.

See: RFC 5280 §4.1, §5.1.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_atlas.errors import MalformedError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, CertificateRevocationList

T = TypeVar("T")


def certificate_of(der: bytes, what: str = "a certificate (X.509, DER)") -> "Certificate":
    """Return the certificate in ``der``. Raises MalformedError, that ``what`` was expected, for anything else."""
    from cryptography.x509 import load_der_x509_certificate

    return _read(load_der_x509_certificate, der, what)


def certificates_of_pem(pem: bytes, what: str) -> "Sequence[Certificate]":
    """Return the certificates in ``pem``, in order, one at least. Raises MalformedError, as ``certificate_of`` does."""
    from cryptography.x509 import load_pem_x509_certificates

    return _read(load_pem_x509_certificates, pem, what)


def revocation_list_of(der: bytes, what: str = "a revocation list (X.509, DER)") -> "CertificateRevocationList":
    """Return the revocation list in ``der``. Raises MalformedError, as ``certificate_of`` does."""
    from cryptography.x509 import load_der_x509_crl

    return _read(load_der_x509_crl, der, what)


def _read(load: Callable[[bytes], T], data: bytes, what: str) -> T:
    from cryptography.x509 import InvalidVersion

    try:
        return load(data)
    except (ValueError, InvalidVersion) as error:
        raise MalformedError(f"expected {what}") from error
