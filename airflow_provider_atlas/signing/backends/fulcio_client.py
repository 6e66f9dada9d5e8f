"""What is asked of Fulcio: a certificate of a key, for an identity token. ``POST /api/v2/signingCert``.

The token goes to the one host that the operator named, over TLS, and into no message of ours.

See: Fulcio, ``fulcio.proto`` (``CreateSigningCertificateRequest``), in protobuf's JSON; RFC 2986 (the request: whoever
signs it has the private key).
"""

import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from itertools import islice
from urllib.parse import urlsplit

import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from airflow_provider_atlas.encoding import Fields, JsonObject, b64encode, canonical_json, parse_json
from airflow_provider_atlas.errors import ConfigError, MalformedError, SigningError

_PATH = "/api/v2/signingCert"
_TIMEOUT = (5, 20)
_PAUSES = (0.2, 0.8)  # seconds before it is tried again
_AGAIN = {429, 502, 503, 504}
_PART, _MOST_PARTS = 16_384, 64  # of an answer


class _TryAgainError(SigningError):
    """Trouble that another try may be spared."""


class FulcioClient:
    """Fulcio at ``url``, the base of its interface (see ``checked_url``)."""

    def __init__(self, url: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        self.url = url.rstrip("/")
        self._pause = pause

    def certificate(self, key: ec.EllipticCurvePrivateKey, token: str) -> bytes:
        """Return a certificate (X.509, DER) of ``key`` for whom ``token`` names; it has its SCT inside.

        Raises SigningError when there is none to be had: Fulcio is away, refuses, or answers something else.
        """
        status, answer = self._answered(canonical_json(_request(key, token)))
        if status not in (200, 201):
            told = ascii(answer.decode("utf-8", "replace").replace(token, "…")[:200])
            raise SigningError(f"{self.url} gave no certificate (HTTP {status}): {told}")
        try:
            return _certificate_in(answer)
        except MalformedError as error:
            raise SigningError(f"what {self.url} answered is no certificate: {error}") from error

    def _answered(self, body: bytes) -> tuple[int, bytes]:
        for pause in _PAUSES:
            with suppress(_TryAgainError):
                return self._ask(body)
            self._pause(pause)
        return self._ask(body)

    def _ask(self, body: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        try:
            with requests.post(
                self.url + _PATH,
                data=body,
                headers={"Content-Type": "application/json"},
                auth=_no_password,
                timeout=_TIMEOUT,
                allow_redirects=False,  # the operator named a host, and nobody else sends the token to another
                stream=True,
            ) as response:
                status, answer = response.status_code, _body(response)
        except requests.exceptions.SSLError as error:
            raise SigningError(f"{self.url} cannot be reached over TLS: {error}") from error
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise _TryAgainError(f"{self.url} is away ({type(error).__name__})") from error
        except requests.RequestException as error:
            raise SigningError(f"{self.url} cannot be asked ({type(error).__name__})") from error
        if status in _AGAIN:
            raise _TryAgainError(f"{self.url} is busy (HTTP {status})")
        return status, answer


def checked_url(url: str, *, allow_public: bool) -> str:
    """Return ``url``, the base of Fulcio's interface, when it may be used.

    Raises ConfigError unless it is https, or http to this machine, with a host and nothing but a path behind it; and,
    without ``allow_public``, when it is the public one, which tells everybody who your workers are, for ever.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").lower()
        _ = parts.port
    except ValueError as error:
        raise ConfigError("[atlas] signer is fulcio: and no URL") from error
    if not host or parts.username is not None or "?" in url or "#" in url:
        raise ConfigError("[atlas] signer: expected fulcio:https://host/prefix, without a user, a query or a fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise ConfigError("[atlas] signer: expected fulcio:https://…, or http to this machine alone")
    if not allow_public and (host == "sigstore.dev" or host.endswith(".sigstore.dev")):
        raise ConfigError(
            f"{host} is public: it tells everybody, for ever, who your workers are; set [atlas] allow_public_log = true"
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _no_password(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Return ``request`` as it is. Being asked keeps requests from sending a password out of ``~/.netrc``."""
    return request


def _body(response: requests.Response) -> bytes:
    return b"".join(islice(response.iter_content(_PART), _MOST_PARTS))


def _request(key: ec.EllipticCurvePrivateKey, token: str) -> JsonObject:
    # The subject stays empty: Fulcio takes the identity from the token, and nothing from here but the key.
    wanted = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, SHA256())
    return {
        "credentials": {"oidcIdentityToken": token},
        "certificateSigningRequest": b64encode(wanted.public_bytes(Encoding.PEM)),
    }


def _certificate_in(answer: bytes) -> bytes:
    fields = Fields(parse_json(answer), "the answer")
    if fields.has("signedCertificateDetachedSct"):
        raise MalformedError("expected an SCT inside of the certificate: Fulcio must be told of a CT log")
    certificates = fields.fields("signedCertificateEmbeddedSct").fields("chain").items("certificates")
    own = certificates[0] if certificates else None
    if not isinstance(own, str):
        raise MalformedError("expected a chain of certificates")
    try:
        return x509.load_pem_x509_certificate(own.encode("utf-8")).public_bytes(Encoding.DER)
    except ValueError as error:
        raise MalformedError("expected a certificate in PEM") from error
