"""A log that others keep, reached over Rekor v1's interface. Nothing that it answers is believed before it is checked.

What is posted to ``/api/v1/log/entries`` is a hashedrekord 0.0.1: a digest, a signature, a key, and never an envelope.
Where the log says that it is there already (409), it names the entry, and is asked for it and its proof. Such a log has
no tiles; the proof that what it shows today continues what it showed before comes from ``/api/v1/log/proof``.

See: sigstore/rekor, ``openapi.yaml``; docs/adr/0016-rekor-v1.md.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from airflow_provider_atlas.errors import LogError, MalformedError, MissingError, VerificationError
from airflow_provider_atlas.fetching import MOST_AT_ONCE, Answer
from airflow_provider_atlas.tlog import merkle, rekor_v1
from airflow_provider_atlas.tlog.backends.history import History, Prove
from airflow_provider_atlas.tlog.backends.rekor_http import LogHttp, told
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.note import MAX_NOTE_BYTES
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.rekor import MAX_RESPONSE_BYTES
from airflow_provider_atlas.tlog.tile import MAX_ENTRY_BYTES
from airflow_provider_atlas.tlog.trust import TrustedLog

_ENTRIES = "/api/v1/log/entries"
_THERE_WITHIN = 20
_LOOK_AGAIN = 0.5


class RekorV1Log:
    """The log ``trusted``, reached over ``http``. It may be used from any thread, and across a fork.

    ``trusted`` has entries of hashedrekord 0.0.1, and an origin of the form ``host - tree id``. What this machine sees
    of it is remembered as ``RekorV2Log`` does. Raises MalformedError for another origin.
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
        self._tree = rekor_v1.tree_of(trusted.origin)
        self._pause = pause
        self._history = History(trusted, seen, self._prover)

    def append(self, entries: Sequence[bytes]) -> Sequence[Receipt]:
        """Append ``entries``, each a hashedrekord 0.0.2, as what v1 logs of it; return a checked receipt for each.

        The receipts are for the leaf of ``TrustedLog.leaf``, and hold the log's promise where it gave one. Raises
        LogError as ``RekorV2Log.append`` does, and leaves as much behind.
        """
        if not all(0 < len(entry) <= MAX_ENTRY_BYTES for entry in entries):
            raise LogError(f"an entry of a log has 1 to {MAX_ENTRY_BYTES} bytes: log the digest of what is larger")
        try:
            for entry in entries:
                HashedRekord.parse(entry)
        except MalformedError as error:
            raise LogError(f"the log at {self._http.url} takes hashedrekords alone: {error}") from error
        if not entries:
            return []
        least = self._history.size
        with ThreadPoolExecutor(min(len(entries), MOST_AT_ONCE)) as threads:
            receipts = list(threads.map(self._append, entries))
        with self._believed("answered"):
            self._history.go_on([SignedCheckpoint(each.checkpoint, each.note) for each in receipts], least)
        return receipts

    def latest(self) -> Checkpoint | None:
        """Return the checkpoint that the log shows, checked (``TransparencyLog.latest``)."""
        answer = self._http.get("/api/v1/log", at_most=2 * MAX_NOTE_BYTES)
        if answer.status != 200:
            raise self._refused(answer)
        with self._believed("shows"):
            least = self._history.size
            signed = rekor_v1.parse_head(answer.body)
            signed.verify(self._trusted.origin, (self._trusted.key,))
            self._history.go_on([signed], least)
        return signed.checkpoint if signed.checkpoint.size else None

    @contextmanager
    def _believed(self, does: str) -> Iterator[None]:
        try:
            yield
        except (MalformedError, MissingError, VerificationError) as error:
            raise LogError(f"what the log at {self._http.url} {does} is not to be believed: {error}") from error

    def _append(self, entry: bytes) -> Receipt:
        leaf = self._trusted.leaf(entry)
        answer = self._http.post(_ENTRIES, leaf, at_most=MAX_RESPONSE_BYTES)
        with self._believed("answered"):
            if answer.status == 409:
                answer = self._entry_of(answer, leaf)
            if answer.status not in (200, 201):
                raise self._refused(answer)
            logged = rekor_v1.LogEntry.parse(answer.body)
            if logged.log_id != self._trusted.key.key_hash:
                raise MalformedError("expected the id of the log that is trusted")
            self._trusted.check(logged.receipt, entry)
        return logged.receipt

    def _entry_of(self, conflict: Answer, leaf: bytes) -> Answer:
        """Return what the log says of the entry that it has already; it may take it some time before it shows it."""
        # The header may name another host, and is not followed: its last part must be the entry that was sent.
        name = conflict.headers.get("location", "").rpartition("/")[2]
        if rekor_v1.leaf_hash_in(name) != merkle.leaf_hash(leaf):
            raise MalformedError("expected a conflict with the entry that was sent")
        ends = time.monotonic() + _THERE_WITHIN
        while True:
            answer = self._http.get(f"{_ENTRIES}/{name}", at_most=MAX_RESPONSE_BYTES)
            if answer.status != 404 or time.monotonic() > ends:
                return answer
            self._pause(_LOOK_AGAIN)

    def _prover(self, size: int) -> Prove:
        return partial(self._consistency, size)

    def _consistency(self, size: int, old: int) -> tuple[bytes, ...]:
        path = f"/api/v1/log/proof?firstSize={old}&lastSize={size}&treeID={self._tree}"
        answer = self._http.get(path, at_most=MAX_NOTE_BYTES)
        if answer.status != 200:
            raise self._refused(answer)
        return rekor_v1.parse_consistency(answer.body)

    def _refused(self, answer: Answer) -> LogError:
        return LogError(f"the log at {self._http.url} refused (HTTP {answer.status}): {told(answer)}")
