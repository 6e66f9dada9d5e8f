"""HTTP as a client needs it: time-outs, a few tries, answers of bounded size, no redirect, no surprise.

What can be tried again is tried again with growing pauses: a connection that failed, and the answers 429, 502, 503 and
504. So it is for services that take no harm from being asked twice. Nothing is believed of an answer here.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from airflow_provider_atlas.errors import AtlasError, ConfigError

MOST_AT_ONCE = 8
"""How many requests of one client are under way at a time."""

_TIMEOUT = (5, 30)  # Rekor's clients are told to wait 20 seconds at least: an entry waits for its checkpoint
_TRIES = 5
_PATIENCE = 60
_LONGEST_PAUSE = 10
_AGAIN = {429, 502, 503, 504}


class _TryAgainError(Exception):
    """Trouble that another try, after a ``pause`` of so many seconds at least, may be spared."""

    def __init__(self, message: str, pause: float = 0) -> None:
        super().__init__(message)
        self.pause = pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status, headers with lower-case names, and a body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAuth(AuthBase):
    """Bears nothing. Being asked keeps requests from sending a password out of ``~/.netrc``."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return ``request`` as it is."""
        return request


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is asked: its ``url``, what people call it, and the error that is raised when it gives no answer."""

    url: str
    name: str
    error: type[AtlasError]


class HttpClient:
    """Requests to ``service``, from any thread, and across a fork; ``pause`` waits so many seconds."""

    def __init__(
        self, service: Service, auth: AuthBase | None = None, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.url = service.url.rstrip("/")
        self._called = f"{service.name} at {self.url}"
        self._error = service.error
        self._auth = auth or NoAuth()
        self._pause = pause
        self._lock = threading.Lock()
        self._sessions: dict[int, requests.Session] = {}

    def get(self, path: str, *, at_most: int) -> Answer:
        """Return the answer to a GET of ``path``, whose body has ``at_most`` bytes. Raises the service's error."""
        return self._asked("GET", path, None, at_most)

    def post(self, path: str, body: bytes, *, at_most: int) -> Answer:
        """Return the answer to a POST of the JSON ``body``, as ``get`` does."""
        return self._asked("POST", path, body, at_most)

    def _asked(self, method: str, path: str, body: bytes | None, at_most: int) -> Answer:
        ends = time.monotonic() + _PATIENCE
        tried = 0
        while True:
            tried += 1
            pause = random.uniform(0.1, 0.2) * 2**tried  # noqa: S311 - so that clients do not come back together
            try:
                return self._answered(method, path, body, at_most)
            except _TryAgainError as trouble:
                pause = max(pause, trouble.pause)
                if tried == _TRIES or time.monotonic() + pause > ends:
                    raise self._error(str(trouble)) from trouble
            self._pause(pause)

    def _answered(self, method: str, path: str, body: bytes | None, at_most: int) -> Answer:
        try:
            answer = self._ask(method, path, body, at_most)
        except requests.exceptions.SSLError as error:
            raise self._error(f"{self._called} cannot be reached over TLS: {error}") from error
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise _TryAgainError(f"{self._called} is away ({type(error).__name__})") from error
        except requests.RequestException as error:
            raise self._error(f"{self._called} cannot be asked ({type(error).__name__})") from error
        if answer.status in _AGAIN:
            raise _TryAgainError(f"{self._called} is busy (HTTP {answer.status})", _asked_for(answer))
        return answer

    def _ask(self, method: str, path: str, body: bytes | None, at_most: int) -> Answer:
        with self._session().request(
            method,
            self.url + path,
            data=body,
            headers={"Content-Type": "application/json"} if body else {},
            auth=self._auth,
            timeout=_TIMEOUT,
            allow_redirects=False,  # the operator named a host, and nobody else sends us to another
            stream=True,
        ) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(status=response.status_code, headers=headers, body=self._read(response, at_most))

    def _read(self, response: requests.Response, at_most: int) -> bytes:
        body, ends = bytearray(), time.monotonic() + _PATIENCE
        for part in response.iter_content(16_384):
            body += part
            if len(body) > at_most or time.monotonic() > ends:
                raise self._error(f"expected an answer of at most {at_most} bytes from {self._called}, sooner")
        return bytes(body)

    def _session(self) -> requests.Session:
        # Two processes must not speak over one connection, so a fork begins with a session of its own.
        with self._lock:
            if os.getpid() not in self._sessions:
                self._sessions = {os.getpid(): _new_session()}
            return self._sessions[os.getpid()]


def _new_session() -> requests.Session:
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=MOST_AT_ONCE))
    return session


def _asked_for(answer: Answer) -> float:
    """Return the pause in seconds that the answer asks for, within reason."""
    wanted = answer.headers.get("retry-after", "")
    return min(int(wanted), _LONGEST_PAUSE) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 10 else 0


def checked_url(url: str, *, setting: str, public: str | None) -> str:
    """Return ``url``, the base of a service's interface that ``setting`` ("[atlas] log") names, when it may be used.

    Raises ConfigError unless it is https, or http to this machine, with a host and nothing but a path behind it; and
    for Sigstore's public services, unless ``public``, which says what they would tell everybody, is None.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").lower()
        _ = parts.port
    except ValueError as error:
        raise ConfigError(f"{setting}: expected a URL, https://host/prefix") from error
    if not host or parts.username is not None or "?" in url or "#" in url:
        raise ConfigError(f"{setting}: expected https://host/prefix, without a user, a query or a fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ConfigError(f"{setting}: expected https, or http to this machine alone")
    if public is not None and (host == "sigstore.dev" or host.endswith(".sigstore.dev")):
        raise ConfigError(f"{setting}: {host} is public: {public}; set [atlas] allow_public_log = true")
    return url


def is_loopback(host: str) -> bool:
    """Return whether ``host``, a name or an address, is this machine, and nobody else can listen."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
