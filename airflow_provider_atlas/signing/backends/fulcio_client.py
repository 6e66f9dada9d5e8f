"""What is asked of Fulcio: a certificate of a key, for an identity token. ``POST /api/v2/signingCert``.

The token goes to the one host that the operator named, over TLS, and into no message of ours.

See: Fulcio, ``fulcio.proto`` (``CreateSigningCertificateRequest``), in protobuf's JSON; RFC 2986 (the request: whoever
signs it has the private key).
"""

import time
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from airflow_provider_atlas.encoding import Fields, JsonObject, b64encode, canonical_json, parse_json
from airflow_provider_atlas.errors import MalformedError, SigningError
from airflow_provider_atlas.fetching import HttpClient, Service
from airflow_provider_atlas.x509 import certificates_of_pem

_PATH = "/api/v2/signingCert"
_MAX_ANSWER = 1 << 20


class FulcioClient:
    """Fulcio at ``url``, the base of its interface. To ask it twice does no harm."""

    def __init__(self, url: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._http = HttpClient(Service(url=url, name="Fulcio", error=SigningError), pause=pause)
        self.url = self._http.url

    def certificate(self, key: ec.EllipticCurvePrivateKey, token: str) -> bytes:
        """Return a certificate (X.509, DER) of ``key`` for whom ``token`` names; it has its SCT inside.

        Raises SigningError when there is none to be had: Fulcio is away, refuses, or answers something else.
        """
        answer = self._http.post(_PATH, canonical_json(_request(key, token)), at_most=_MAX_ANSWER)
        if answer.status not in (200, 201):
            told = ascii(answer.body.decode("utf-8", "replace").replace(token, "…")[:200])
            raise SigningError(f"{self.url} gave no certificate (HTTP {answer.status}): {told}")
        try:
            return _certificate_in(answer.body)
        except MalformedError as error:
            raise SigningError(f"what {self.url} answered is no certificate: {error}") from error


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
    return certificates_of_pem(own.encode("utf-8"), "a certificate in PEM")[0].public_bytes(Encoding.DER)
