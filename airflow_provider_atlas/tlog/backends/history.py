"""One history: what a log that others keep shows a worker must continue what it showed before, to any task of the host.

A log that lies can answer each request with a receipt that verifies, and have a history for each client, or take one
back. So the newest checkpoint is remembered (``LastSeen``), and each new one is proved to continue it before what came
with it is believed.

See: RFC 9162 §2.1.4 (consistency), §8.1.4 (what a client must do with a checkpoint).
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from airflow_provider_atlas.errors import ConsistencyError
from airflow_provider_atlas.tlog import merkle
from airflow_provider_atlas.tlog.backends.last_seen import LastSeen
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.trust import TrustedLog

Prove = Callable[[int], Sequence[bytes]]
"""``prove(old)``: the log's proof that a tree extends its tree of ``old`` entries."""


class History:
    """What the log ``trusted`` has shown, as far as ``seen`` (a folder, or None: this object) remembers.

    ``prover(size)`` returns what asks the log to prove that its tree of ``size`` entries extends others; what that
    raises is raised here.
    """

    def __init__(self, trusted: TrustedLog, seen: Path | None, prover: Callable[[int], Prove]) -> None:
        self._origin = trusted.origin
        self._seen = LastSeen(seen, trusted.key, trusted.origin)
        self._prover = prover

    @property
    def size(self) -> int:
        """How many entries the log was seen to have: what it answers from now on must cover them. Raises LogError."""
        return self._seen.size

    def go_on(self, shown: Iterable[SignedCheckpoint], least: int) -> None:
        """Take the checkpoints ``shown``, one at least, that the log signed, as its history; remember the newest.

        ``least`` is ``size`` as it was when the log was asked. Raises ConsistencyError for a log that was rolled back
        or forked, and LogError when what was seen cannot be read or kept.
        """
        *older, newest = sorted(dict.fromkeys(shown), key=lambda signed: signed.checkpoint.size)
        smallest = (older or [newest])[0].checkpoint.size
        if smallest < least:
            raise self.rolled_back(smallest, least)
        while True:
            known = self._seen.newest()
            self._compare(known, [*older, newest])
            if (known and known.size >= newest.checkpoint.size) or self._seen.advance(newest, known):
                return

    def rolled_back(self, size: int, least: int) -> ConsistencyError:
        """Return what to raise for a log that shows ``size`` entries, and showed ``least`` before."""
        return ConsistencyError(
            f"the log {self._origin} was rolled back: it shows {size} entries, and showed {least} before. Ask who keeps"
            f" it; only if that is meant, remove {self._seen.place}"
        )

    def _compare(self, known: Checkpoint | None, shown: Sequence[SignedCheckpoint]) -> None:
        """Prove that the newest tree, which may be the one that is ``known``, continues each of the others."""
        trees = [*(signed.checkpoint for signed in shown), *([known] if known else [])]
        newest = max(trees, key=lambda tree: tree.size)
        prove = self._prover(newest.size)
        for tree in trees:
            if not _continues(tree, newest, prove):
                self._seen.accuse(signed.note for signed in shown if signed.checkpoint in (tree, newest))
                raise ConsistencyError(
                    f"the log {self._origin} forked, or serves tiles that are not its own: nothing proves its trees of"
                    f" {tree.size} and {newest.size} entries to be of one history. Ask who keeps it; what it signed is"
                    f" in {self._seen.place} and {self._seen.place}.accused"
                )


def _continues(old: Checkpoint, new: Checkpoint, prove: Prove) -> bool:
    if (old.size, old.root) == (new.size, new.root):
        return True
    try:
        proof = prove(old.size) if 0 < old.size < new.size else ()
        merkle.check_consistency(old.size, new.size, old.root, new.root, proof)
    except ConsistencyError:
        return False
    return True
