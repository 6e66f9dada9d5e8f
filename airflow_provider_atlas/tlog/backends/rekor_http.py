"""HTTP to a log that others keep: what ``fetching`` does, with the log's token.

Asking a log twice does no harm, for it logs an entry once.
"""

import time
from collections.abc import Callable
from pathlib import Path

import requests
from requests.auth import AuthBase

from airflow_provider_atlas.errors import ConfigError, LogError
from airflow_provider_atlas.fetching import Answer, HttpClient, Service
from airflow_provider_atlas.tlog.backends.private_file import read_private


class Bearer(AuthBase):
    """Bears the token in the file ``path``, or nothing when it is None; read anew each time, for tokens are renewed.

    Raises ConfigError when the file cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._token()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Give ``request`` the token. Being asked keeps requests from sending a password out of ``~/.netrc``."""
        if token := self._token():
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    def _token(self) -> str | None:
        if self._path is None:
            return None
        token = read_private(self._path, "the log's token").strip()
        if not token or any(character.isspace() for character in token):
            raise ConfigError(f"expected one token in {self._path}")
        return token


class LogHttp(HttpClient):
    """Requests to the log at ``url``, from any thread, and across a fork. Raises LogError."""

    def __init__(self, url: str, auth: Bearer, *, pause: Callable[[float], None] = time.sleep) -> None:
        super().__init__(Service(url=url, name="the log", error=LogError), auth, pause=pause)


def told(answer: Answer) -> str:
    """Return what a log says of a refusal, as far as it can be shown."""
    return ascii(answer.body[:200].decode("utf-8", "replace"))
