"""A time-stamp authority over HTTP (RFC 3161 §3.4). Whether it is to be believed is asked by who verifies."""

import hashlib
import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass

from airflow_provider_atlas.errors import ConfigError, TimestampError
from airflow_provider_atlas.tlog.timestamp import MAX_TIMESTAMP_BYTES

_TIMEOUT = 10.0  # seconds for each step of the exchange: a task waits for it
_QUERY = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}


@dataclass(frozen=True, slots=True)
class HttpAuthority:
    """The authority at ``url``, which is the whole address that it answers at."""

    url: str

    def __post_init__(self) -> None:
        if not self.url.startswith(("https://", "http://")):
            raise ConfigError(f"[atlas] tsa is {self.url!r}; expected the https: URL of a time-stamp authority")

    def stamp(self, message: bytes) -> bytes:
        """Return the time-stamp of ``message``: see ``TimestampAuthority``."""
        from rfc3161_client import TimestampRequestBuilder, decode_timestamp_response
        from rfc3161_client.base import HashAlgorithm

        request = TimestampRequestBuilder().data(message).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True).build()
        answer = self._ask(request.as_bytes())
        try:
            response = decode_timestamp_response(answer)
            granted = response.status == 0
            told = response.tst_info.message_imprint.message, response.tst_info.nonce
        except ValueError as error:
            raise TimestampError(f"expected a time-stamp from {self.url}, and it answered something else") from error
        # An answer to another question would be noticed by whoever verifies, when no better one can be had any more.
        if not granted or told != (hashlib.sha256(message).digest(), request.nonce):
            raise TimestampError(f"expected {self.url} to stamp what it was asked to")
        return answer

    def _ask(self, query: bytes) -> bytes:
        request = urllib.request.Request(self.url, data=query, headers=_QUERY)  # noqa: S310 - the scheme is checked
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310 - as above
                answer: bytes = response.read(MAX_TIMESTAMP_BYTES + 1)
        except urllib.error.HTTPError as error:
            error.close()
            raise TimestampError(f"the time-stamp authority {self.url} answered {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            raise TimestampError(f"the time-stamp authority {self.url} is away: {error}") from error
        if len(answer) > MAX_TIMESTAMP_BYTES:
            raise TimestampError(f"expected a time-stamp of at most {MAX_TIMESTAMP_BYTES} bytes from {self.url}")
        return answer
