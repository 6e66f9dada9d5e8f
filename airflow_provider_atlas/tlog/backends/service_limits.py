"""Who may write to the log's service, and how fast."""

import hashlib
import hmac
import time
from collections.abc import Callable

from airflow_provider_atlas.errors import ConfigError

_LEAST_CHARACTERS = 20


class Tokens:
    """The bearer tokens that may write: one a line, each of 20 characters at least; lines that begin with # are notes.

    Raises ConfigError for a list without tokens, or with one that can be guessed. See: RFC 6750.
    """

    def __init__(self, text: str) -> None:
        tokens = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if not tokens or any(len(token) < _LEAST_CHARACTERS or " " in token for token in tokens):
            raise ConfigError(f"expected tokens of at least {_LEAST_CHARACTERS} characters, each on its line")
        self._digests = tuple(map(_digest, tokens))

    def knows(self, token: str) -> bool:
        """Whether ``token`` is one of them; how long the answer takes does not tell how near it was."""
        digest = _digest(token)
        return sum(hmac.compare_digest(digest, known) for known in self._digests) > 0


class Rate:
    """At most ``per_second`` writes a second, in bursts of as many; ``clock`` tells the time in seconds."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._left = per_second
        self._at = clock()

    def admits(self) -> bool:
        """Whether one more write is within the rate, which it then counts for."""
        now = self._clock()
        self._left = min(self._per_second, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
