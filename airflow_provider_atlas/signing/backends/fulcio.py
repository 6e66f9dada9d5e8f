"""A signer without a key of its own: each of its keys lives in memory, for as long as Fulcio's certificate of it holds.

To sign, it makes an ECDSA P-256 key and shows Fulcio the worker's identity token. Nothing is on a disk that could be
stolen, and who leaves the identity provider cannot sign any more. It may be used from any thread, and across a fork.

See: Sigstore's Fulcio, ``docs/how-certificate-issuing-works.md``; OpenID Connect Core §2 (identity tokens).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_atlas.errors import ConfigError, MalformedError, SigningError
from airflow_provider_atlas.signing.backends.fulcio_client import FulcioClient
from airflow_provider_atlas.signing.backends.key_file import KeyFileSigner
from airflow_provider_atlas.signing.certificate import Certificate
from airflow_provider_atlas.signing.keys import PublicKey

_SPARE = timedelta(minutes=2)  # what is signed must still be shown to an authority while the certificate holds
_CLOCKS_DIFFER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class CertifiedKey:
    """A key in memory, and its certificate (``CertifiedSigner``)."""

    key: KeyFileSigner
    certificate: Certificate

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self.key.public_key

    def sign(self, message: bytes) -> bytes:
        """Return the signature of ``message`` in DER. Raises SigningError."""
        return self.key.sign(message)

    def holds(self, now: datetime) -> bool:
        """Return whether the certificate holds ``now``, and for as long as it takes to sign and to be stamped."""
        begins, ends = self.certificate.parsed.not_valid_before_utc, self.certificate.parsed.not_valid_after_utc
        return begins - _CLOCKS_DIFFER <= now < ends - min(_SPARE, (ends - begins) / 3)


class FulcioSigner:
    """A Signer whose keys ``client``'s Fulcio certifies, for whom ``read_token`` gives an identity token.

    The token is read anew each time, for tokens are renewed; ``audience`` is whom it must be meant for.
    """

    def __init__(
        self,
        client: FulcioClient,
        read_token: Callable[[], str],
        audience: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._read_token = read_token
        self._audience = audience
        self._clock = clock
        self._current: CertifiedKey | None = None

    @property
    def public_key(self) -> PublicKey:
        """The public half of the key in use now (``Signer``). Raises SigningError."""
        return self.certified().public_key

    def sign(self, message: bytes) -> bytes:
        """Return the signature of ``message`` by the key in use now (``Signer``). Raises SigningError."""
        return self.certified().sign(message)

    def certified(self) -> CertifiedKey:
        """Return the key in use now (``KeylessSigner``). Raises SigningError when it cannot be certified."""
        current = self._current
        if current is None or not current.holds(self._clock()):
            # No lock, which a fork could find taken: threads that come together get a key each, and one stays.
            self._current = current = self._made()
        return current

    def _made(self) -> CertifiedKey:
        private_key = ec.generate_private_key(ec.SECP256R1())
        key = KeyFileSigner(private_key)
        try:
            certificate = Certificate.parse(self._client.certificate(private_key, self._token()))
        except MalformedError as error:
            raise SigningError(f"what {self._client.url} answered is no signing certificate: {error}") from error
        made = CertifiedKey(key, certificate)
        if certificate.public_key != key.public_key:
            raise SigningError(f"expected a certificate of the worker's key from {self._client.url}, not of another")
        if not made.holds(self._clock()):
            raise SigningError(f"expected a certificate that holds now from {self._client.url}: compare the clocks")
        return made

    def _token(self) -> str:
        from sigstore.oidc import IdentityError, IdentityToken

        try:
            return str(IdentityToken(self._read_token().strip(), self._audience))
        except ConfigError as error:
            raise SigningError(str(error)) from error
        except IdentityError as error:
            raise SigningError(
                "cannot use the identity token in [atlas] signer_token_file: expected one of OpenID Connect that holds "
                f"now and is meant for {self._audience!r} ([atlas] signer_audience)"
            ) from error
