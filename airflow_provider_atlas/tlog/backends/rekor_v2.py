"""A log that others keep, reached over Rekor v2's interface. Nothing that it answers is believed before it is checked.

An entry is posted to ``/api/v2/log/entries``. Where the log says that it is there already (409), it gives an index and
no proof; then the proof is made from the log's tiles, at ``/api/v2/checkpoint`` and ``/api/v2/tile/…``. And so is the
proof that what it shows today continues what it showed before (``history``).

See: rekor-tiles, ``CLIENTS.md``; https://c2sp.org/tlog-tiles.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_atlas.encoding import parse_decimal
from airflow_provider_atlas.errors import LogError, MalformedError, MissingError, VerificationError
from airflow_provider_atlas.fetching import MOST_AT_ONCE, Answer
from airflow_provider_atlas.tlog.backends.history import History
from airflow_provider_atlas.tlog.backends.rekor_http import LogHttp, told
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.note import MAX_NOTE_BYTES
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.rekor import MAX_RESPONSE_BYTES, LogEntry, request
from airflow_provider_atlas.tlog.tile import FULL, MAX_ENTRY_BYTES, Tile, TileTree, parse_hashes
from airflow_provider_atlas.tlog.trust import TrustedLog

_TILE_BYTES = 32 * FULL
_PUBLISHED_WITHIN = 20
_STALE_AT_MOST = 5  # a checkpoint may be kept by a cache for a few seconds (tlog-tiles)
_LOOK_AGAIN = 0.5


class RekorV2Log:
    """The log ``trusted``, reached over ``http``. It may be used from any thread, and across a fork.

    What this machine sees of the log is remembered in the folder ``seen``, or when that is None as long as this object
    lives; a log that takes back or changes what it showed is refused.
    """

    def __init__(
        self,
        http: LogHttp,
        trusted: TrustedLog,
        *,
        seen: Path | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = http
        self._trusted = trusted
        self._pause = pause
        self._history = History(trusted, seen, lambda size: TileTree(size, self._tile).consistency_proof)

    def append(self, entries: Sequence[bytes]) -> Sequence[Receipt]:
        """Append ``entries``, each a hashedrekord 0.0.2, and return a checked receipt for each (``TransparencyLog``).

        The interface takes one entry at a time, so they are posted together and committed each by itself: when this
        raises, some of them may be in the log. Appending them again returns their receipts. Raises LogError when the
        log is away, refuses one, or answers with what does not verify, or does not continue what it showed before.
        """
        if not all(0 < len(entry) <= MAX_ENTRY_BYTES for entry in entries):
            raise LogError(f"an entry of a log has 1 to {MAX_ENTRY_BYTES} bytes: log the digest of what is larger")
        try:
            leaves = [HashedRekord.parse(entry) for entry in entries]
        except MalformedError as error:
            raise LogError(f"the log at {self._http.url} takes hashedrekord 0.0.2 alone: {error}") from error
        if not leaves:
            return []
        least = self._history.size
        with ThreadPoolExecutor(min(len(leaves), MOST_AT_ONCE)) as threads:
            receipts = list(threads.map(lambda leaf: self._append(leaf, least), leaves))
        with self._believed("answered"):
            self._history.go_on([SignedCheckpoint(each.checkpoint, each.note) for each in receipts], least)
        return receipts

    def latest(self) -> Checkpoint | None:
        """Return the checkpoint that the log publishes, checked (``TransparencyLog.latest``)."""
        with self._believed("shows"):
            least = self._history.size
            signed = self._published_at(least, _STALE_AT_MOST)
            if signed:
                self._history.go_on([signed], least)
            elif least:
                raise self._history.rolled_back(0, least)
        return signed.checkpoint if signed else None

    @contextmanager
    def _believed(self, does: str) -> Iterator[None]:
        try:
            yield
        except (MalformedError, MissingError, VerificationError) as error:
            raise LogError(f"what the log at {self._http.url} {does} is not to be believed: {error}") from error

    def _append(self, leaf: HashedRekord, least: int) -> Receipt:
        entry = leaf.to_bytes()
        answer = self._http.post("/api/v2/log/entries", request(leaf), at_most=MAX_RESPONSE_BYTES)
        with self._believed("answered"):
            receipt = self._receipt_in(answer) if answer.status in (200, 201) else self._receipt_of_old(answer, least)
            self._trusted.check(receipt, entry)
        return receipt

    def _receipt_in(self, answer: Answer) -> Receipt:
        logged = LogEntry.parse(answer.body)
        if logged.log_id != self._trusted.key.key_hash:
            raise MalformedError("expected the id of the log that is trusted")
        return logged.receipt

    def _receipt_of_old(self, answer: Answer, least: int) -> Receipt:
        """Return a receipt, made from the tiles, for the entry that the log says it has."""
        if answer.status != 409:
            raise LogError(f"the log at {self._http.url} refused an entry (HTTP {answer.status}): {told(answer)}")
        index = parse_decimal(answer.headers.get("x-log-index", ""))
        signed = self._published_at(max(index + 1, least), _PUBLISHED_WITHIN)
        if signed is None or signed.checkpoint.size <= index:
            raise MissingError("expected a checkpoint that covers the entry that the log says it has")
        hashes = TileTree(signed.checkpoint.size, self._tile).inclusion_proof(index)
        return Receipt(index=index, hashes=hashes, note=signed.note)

    def _published_at(self, size: int, within: float) -> SignedCheckpoint | None:
        """Return the checkpoint that the log publishes, once it has ``size`` entries or time is up.

        A log may take an entry some seconds before it publishes it, and a cache may hold the checkpoint before.
        """
        ends = time.monotonic() + within
        while True:
            signed = self._published()
            if (signed.checkpoint.size if signed else 0) >= size or time.monotonic() > ends:
                return signed
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
