"""A log that others keep, reached over Rekor v2's interface. Nothing that it answers is believed before it is checked.

An entry is posted to ``/api/v2/log/entries``. Where the log says that it is there already (409), it gives an index and
no proof; then the proof is made from the log's tiles, at ``/api/v2/checkpoint`` and ``/api/v2/tile/…``.

See: rekor-tiles, ``CLIENTS.md``; https://c2sp.org/tlog-tiles.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from urllib.parse import urlsplit

from airflow_provider_atlas.encoding import parse_decimal
from airflow_provider_atlas.errors import ConfigError, LogError, MalformedError, MissingError, VerificationError
from airflow_provider_atlas.fetching import MOST_AT_ONCE, Answer
from airflow_provider_atlas.tlog.backends.rekor_http import LogHttp
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.note import MAX_NOTE_BYTES
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.rekor import MAX_RESPONSE_BYTES, LogEntry, request
from airflow_provider_atlas.tlog.tile import FULL, MAX_ENTRY_BYTES, Tile, TileTree, parse_hashes
from airflow_provider_atlas.tlog.trust import TrustedLog

_TILE_BYTES = 32 * FULL
_PUBLISHED_WITHIN = 20
_LOOK_AGAIN = 0.5


class RekorV2Log:
    """The log ``trusted``, reached over ``http``. It may be used from any thread, and across a fork."""

    def __init__(self, http: LogHttp, trusted: TrustedLog, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._http = http
        self._trusted = trusted
        self._pause = pause

    def append(self, entries: Sequence[bytes]) -> Sequence[Receipt]:
        """Append ``entries``, each a hashedrekord 0.0.2, and return a checked receipt for each (``TransparencyLog``).

        The interface takes one entry at a time, so they are posted together and committed each by itself: when this
        raises, some of them may be in the log. Appending them again returns their receipts. Raises LogError when the
        log is away, refuses one, or answers with what does not verify.
        """
        if not all(0 < len(entry) <= MAX_ENTRY_BYTES for entry in entries):
            raise LogError(f"an entry of a log has 1 to {MAX_ENTRY_BYTES} bytes: log the digest of what is larger")
        try:
            leaves = [HashedRekord.parse(entry) for entry in entries]
        except MalformedError as error:
            raise LogError(f"the log at {self._http.url} takes hashedrekord 0.0.2 alone: {error}") from error
        if len(leaves) < 2:
            return [self._append(leaf) for leaf in leaves]
        with ThreadPoolExecutor(min(len(leaves), MOST_AT_ONCE)) as threads:
            return list(threads.map(self._append, leaves))

    def latest(self) -> Checkpoint | None:
        """Return the checkpoint that the log publishes, checked (``TransparencyLog.latest``)."""
        try:
            signed = self._published()
        except (MalformedError, VerificationError) as error:
            raise LogError(f"the checkpoint of the log at {self._http.url} is not to be believed: {error}") from error
        return signed.checkpoint if signed else None

    def _append(self, leaf: HashedRekord) -> Receipt:
        entry = leaf.to_bytes()
        answer = self._http.post("/api/v2/log/entries", request(leaf), at_most=MAX_RESPONSE_BYTES)
        try:
            receipt = self._receipt_in(answer) if answer.status in (200, 201) else self._receipt_of_old(answer)
            self._trusted.check(receipt, entry)
        except (MalformedError, MissingError, VerificationError) as error:
            raise LogError(f"what the log at {self._http.url} answered is not to be believed: {error}") from error
        return receipt

    def _receipt_in(self, answer: Answer) -> Receipt:
        logged = LogEntry.parse(answer.body)
        if logged.log_id != self._trusted.key.key_hash:
            raise MalformedError("expected the id of the log that is trusted")
        return logged.receipt

    def _receipt_of_old(self, answer: Answer) -> Receipt:
        """Return a receipt, made from the tiles, for the entry that the log says it has."""
        if answer.status != 409:
            raise LogError(f"the log at {self._http.url} refused an entry (HTTP {answer.status}): {_told(answer)}")
        index = parse_decimal(answer.headers.get("x-log-index", ""))
        signed = self._published_beyond(index)
        hashes = TileTree(signed.checkpoint.size, self._tile).inclusion_proof(index)
        return Receipt(index=index, hashes=hashes, note=signed.note)

    def _published_beyond(self, index: int) -> SignedCheckpoint:
        """Return a checkpoint that covers ``index``; a log may take an entry some seconds before it publishes one."""
        ends = time.monotonic() + _PUBLISHED_WITHIN
        while True:
            signed = self._published()
            if signed and signed.checkpoint.size > index:
                return signed
            if time.monotonic() > ends:
                raise MissingError("expected a checkpoint that covers the entry that the log says it has")
            self._pause(_LOOK_AGAIN)

    def _published(self) -> SignedCheckpoint | None:
        answer = self._http.get("/api/v2/checkpoint", at_most=MAX_NOTE_BYTES)
        if answer.status == 404:
            return None
        self._expect_ok(answer)
        signed = SignedCheckpoint.parse(answer.body)
        signed.verify(self._trusted.origin, (self._trusted.key,))
        return signed

    def _tile(self, tile: Tile) -> bytes:
        answer = self._http.get(f"/api/v2/{tile.path}", at_most=_TILE_BYTES)
        if answer.status == 404 and not tile.is_full:  # a log may remove a partial tile when the full one is there
            return b"".join(parse_hashes(self._tile(tile.full), tile.full)[: tile.width])
        self._expect_ok(answer)
        return answer.body

    def _expect_ok(self, answer: Answer) -> None:
        if answer.status != 200:
            raise LogError(f"the log at {self._http.url} refused to be read (HTTP {answer.status})")


def checked_url(url: str, *, allow_public: bool) -> str:
    """Return ``url``, the base of a log's interface, when it may be used.

    Raises ConfigError unless it is https, or http to this machine, with a host and nothing but a path behind it; and,
    without ``allow_public``, when it is a public log, where entries stay for everybody and for ever.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").lower()
        _ = parts.port
    except ValueError as error:
        raise ConfigError("[atlas] log is rekor-v2: and no URL") from error
    if not host or parts.username is not None or "?" in url or "#" in url:
        raise ConfigError("[atlas] log: expected rekor-v2:https://host/prefix, without a user, a query or a fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise ConfigError("[atlas] log: expected https, or http to this machine alone")
    if not allow_public and (host == "sigstore.dev" or host.endswith(".sigstore.dev")):
        raise ConfigError(
            f"{host} is public: entries stay there for everybody and for ever; set [atlas] allow_public_log = true"
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _told(answer: Answer) -> str:
    """Return what the log says of a refusal, as far as it can be shown."""
    return ascii(answer.body[:200].decode("utf-8", "replace"))
