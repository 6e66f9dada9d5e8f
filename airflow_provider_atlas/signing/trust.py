"""Which identities a relying party trusts to sign, and which authority it believes about identities.

A certificate is short-lived, so the question is never whether it holds now, but whether it held at the moment at which
somebody else saw the signature.

See: RFC 5280 §6 (paths), checked by cryptography; RFC 6962 §3.2 (SCT); Sigstore's client specification, "Verification".
"""

import hashlib
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import verification
from cryptography.x509.certificate_transparency import SignedCertificateTimestamp
from cryptography.x509.oid import ExtendedKeyUsageOID

from airflow_provider_atlas.errors import SignatureError
from airflow_provider_atlas.signing.certificate import Certificate
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.x509 import certificate_of, certificates_of_pem

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_V1, _CERTIFICATE_TIMESTAMP, _PRECERTIFICATE = 0, 0, 1  # RFC 6962 §3.2, §3.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedFulcio:
    """A certificate authority whose word on identities counts.

    ``certificates`` (DER) are the one that issues, and then those that issued it, up to a root. ``ct_keys`` are those
    of the certificate transparency logs that must have seen what it issues: a certificate that nobody but its holder
    has ever seen may have been made by whoever got hold of the authority.
    """

    certificates: Sequence[bytes]
    ct_keys: Sequence[PublicKey]

    @classmethod
    def from_pem(cls, certificates: bytes, ct_keys: Sequence[bytes]) -> "TrustedFulcio":
        """Return the authority with these certificates, and keys of logs. Raises MalformedError for what is no PEM."""
        chain = certificates_of_pem(certificates, "the certificates of a certificate authority in PEM")
        return cls(
            certificates=tuple(each.public_bytes(Encoding.DER) for each in chain),
            ct_keys=tuple(map(PublicKey.from_pem, ct_keys)),
        )

    def check(self, certificate: Certificate, moment: datetime) -> None:
        """Check that this authority issued ``certificate`` to sign with, that it held at ``moment``, and was logged.

        Raises SignatureError otherwise.
        """
        issuer = self._issuer_of(certificate.parsed, moment)
        _check_purpose(certificate.parsed)
        self._check_logged(certificate.parsed, issuer)

    def _issuer_of(self, certificate: x509.Certificate, moment: datetime) -> x509.Certificate:
        """Return the certificate that issued ``certificate``, by a path that held at ``moment`` up to the root."""
        *between, root = map(certificate_of, self.certificates)
        # The verifier would ask for a purpose of TLS, here and above; which purpose it is, is checked apart.
        any_purpose = x509.ExtendedKeyUsage, verification.Criticality.AGNOSTIC, None
        verifier = (
            verification.PolicyBuilder()
            .store(verification.Store([root]))
            .time(moment)
            .extension_policies(
                ca_policy=verification.ExtensionPolicy.webpki_defaults_ca().may_be_present(*any_purpose),
                ee_policy=verification.ExtensionPolicy.webpki_defaults_ee().may_be_present(*any_purpose),
            )
            .build_client_verifier()
        )
        try:
            return verifier.verify(certificate, between).chain[1]
        except Exception as error:  # of a stranger's certificates, cryptography says a dozen things
            raise SignatureError(
                f"expected a certificate of the policy's authority that held at {moment.isoformat()}: {error}"
            ) from error

    def _check_logged(self, certificate: x509.Certificate, issuer: x509.Certificate) -> None:
        try:
            extension = certificate.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps)
        except x509.ExtensionNotFound as error:
            raise SignatureError("expected a certificate that was logged (SCT); this one names no log") from error
        if not any(self._is_seen(certificate, issuer, sct) for sct in extension.value):
            raise SignatureError("expected a certificate that a log of the policy's authority has seen (SCT)")

    def _is_seen(
        self, certificate: x509.Certificate, issuer: x509.Certificate, sct: SignedCertificateTimestamp
    ) -> bool:
        message = _logged(certificate, issuer, sct)
        for key in self.ct_keys:
            with suppress(SignatureError):
                key.verify(sct.signature, message)
                return True
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIdentity:
    """Somebody who may sign records, and what people call them.

    ``identity`` is the subject alternative name that their certificates have, ``issuer`` that of their tokens.
    """

    name: str
    identity: str
    issuer: str
    fulcio: TrustedFulcio

    def check(self, certificate: Certificate, moment: datetime) -> None:
        """Check that ``certificate`` is of this identity, by its authority, and held at ``moment``.

        Raises SignatureError otherwise.
        """
        if certificate.issuer != self.issuer:
            raise SignatureError(f"expected an identity that {self.issuer} vouches for, not {certificate.issuer}")
        if certificate.identity != self.identity:
            raise SignatureError(f"expected a certificate of {self.identity}, not of {certificate.identity}")
        self.fulcio.check(certificate, moment)


def _check_purpose(certificate: x509.Certificate) -> None:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound as error:
        raise SignatureError("expected a certificate that says what its key is for") from error
    if not usage.digital_signature or ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        raise SignatureError("expected a certificate whose key may sign code")


def _logged(certificate: x509.Certificate, issuer: x509.Certificate, sct: SignedCertificateTimestamp) -> bytes:
    """Return what a log signs of a precertificate that ``issuer`` is about to issue (RFC 6962 §3.2)."""
    spki = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    body, extensions = certificate.tbs_precertificate_bytes, sct.extension_bytes
    moment = (sct.timestamp.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
    return b"".join(
        (
            struct.pack(">BBQH", _V1, _CERTIFICATE_TIMESTAMP, moment, _PRECERTIFICATE),
            hashlib.sha256(spki).digest(),
            len(body).to_bytes(3, "big") + body,
            len(extensions).to_bytes(2, "big") + extensions,
        )
    )
