"""A transparency log in a folder, appended to by any number of processes and threads of one machine.

::

    checkpoint, tile/…             what the log publishes, and a web server may serve (tlog-tiles)
    .state/format.json             whose log it is
    .state/journal/…               what is in it, and in which order: everything else is derived from it
    .state/tree.json               how far the tree is built, and the last checkpoint that was signed
    .state/index/                  which leaf is where
    .state/lock, tree-lock         held to append to the journal; held to build the tree, and not taken inside the first

The life of an entry: under ``lock`` it is written to the journal, which gives it its index. Then one process at a time,
under ``tree-lock``, builds the tree over all that was written meanwhile, signs it, and waits once for the disk, for all
of them. A process whose entries another has covered only reads its proof.

See: https://c2sp.org/tlog-tiles, https://c2sp.org/tlog-checkpoint ("a log MUST NOT sign any checkpoint which is
inconsistent with any checkpoint it previously signed").
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import (
    ConsistencyError,
    InclusionError,
    LogError,
    MalformedError,
    MissingError,
    SignatureError,
)
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.backends.posix_build import TreeBuilder
from airflow_provider_atlas.tlog.backends.posix_folder import UnderivedError, open_folder
from airflow_provider_atlas.tlog.backends.posix_reader import PosixLogReader
from airflow_provider_atlas.tlog.backends.posix_recover import recover
from airflow_provider_atlas.tlog.backends.posix_sequence import Sequencer
from airflow_provider_atlas.tlog.backends.posix_turns import turn, turn_or_wait
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.log import check_entries, receipts, verifier_key
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.tile import TileTree
from airflow_provider_atlas.tlog.witness import Cosign

T = TypeVar("T")

_BACKLOG = 256  # entries that wait for the tree: as many as every process reads again that opens the log
_PATIENCE = 8  # how often a process looks whether another did its work, before it queues for the lock


class PosixLog:
    """The log ``origin`` in ``folder``, whose checkpoints ``key`` signs; made if it is not there, when ``create``.

    ``cosign`` brings in what its witnesses say of each checkpoint before that is published. With ``shared`` the folder
    may be on a file system of many machines, of which one alone writes to it.

    It holds no file open and no lock between calls, so it may be used from any thread, and across a fork. Raises
    ConfigError when the folder holds something else, a log of another origin, or of another key, and LogError when it
    cannot be read or made.
    """

    def __init__(
        self,
        folder: Path,
        origin: str,
        key: Ed25519PrivateKey,
        *,
        create: bool = True,
        cosign: Cosign | None = None,
        shared: bool = False,
    ) -> None:
        self.key = verifier_key(origin, key)
        self._cosign = cosign
        self._folder = open_folder(folder, self.key, create=create, shared=shared)
        self._sequencer = Sequencer(self._folder)
        self._builder = TreeBuilder(self._folder, key, cosign)
        self.reader = PosixLogReader(folder, self.key)

    def append(self, entries: Sequence[bytes]) -> Sequence[Receipt]:
        """Append ``entries`` (``TransparencyLog.append``).

        Raises LogError when the folder cannot be written, or was rolled back or swapped, so that signing on would fork
        the log, and when too few of the witnesses that it asks cosign. An entry that was not acknowledged may be in the
        log; appending it again returns its receipt.
        """
        check_entries(entries)
        if not entries:
            return []
        leaves = [merkle.leaf_hash(entry) for entry in entries]
        return self._done(lambda: self._append(entries, leaves))

    def sequence(self, entries: Sequence[bytes]) -> Sequence[int]:
        """Take ``entries`` and return their indices, without a receipt (``DeferringLog.sequence``).

        Who finds that 256 of them or more wait for the tree builds it. Raises LogError as ``append`` does.
        """
        check_entries(entries)
        if not entries:
            return []
        leaves = [merkle.leaf_hash(entry) for entry in entries]
        return self._done(lambda: self._take(entries, leaves))

    def integrate(self) -> Checkpoint | None:
        """Sign for all that was taken (``DeferringLog.integrate``). Raises LogError as ``append`` does."""
        signed = self._done(self._integrate)
        return signed.checkpoint if signed else None

    def latest(self) -> Checkpoint | None:
        """Return the checkpoint that the log publishes (``TransparencyLog.latest``)."""
        try:
            signed = self.reader.latest()
        except (MalformedError, SignatureError) as error:
            raise LogError(
                f"the checkpoint in {self._folder.path} is not signed by the log's key: remove it"
            ) from error
        return signed.checkpoint if signed else None

    def _append(self, entries: Sequence[bytes], leaves: Sequence[bytes]) -> list[Receipt]:
        """Append ``entries``, or what of them an earlier attempt did not."""
        indices = self._sequencer.sequence(entries, leaves).indices
        for _ in range(_PATIENCE):
            with turn_or_wait(self._folder.tree_lock) as held:
                signed = self._builder.integrate(max(indices) + 1) if held else None
            handed = self._handed(indices, leaves)
            if handed:
                return handed
            if signed:
                return self._receipts(indices, leaves, signed)
        signed = self._integrate(max(indices) + 1)
        return self._receipts(indices, leaves, signed) if signed else []

    def _take(self, entries: Sequence[bytes], leaves: Sequence[bytes]) -> list[int]:
        """Make ``entries`` durable, and their indices final."""
        places = self._sequencer.sequence(entries, leaves)
        # Also where none of them is new: who wrote it may have died before the disk had it.
        self._folder.journal.sync(places.end)
        if places.end.size - places.indexed >= _BACKLOG:
            with turn_or_wait(self._folder.tree_lock) as held:
                if held:
                    self._builder.integrate()
        return places.indices

    def _integrate(self, size: int | None = None) -> SignedCheckpoint | None:
        with turn(self._folder.tree_lock):
            return self._builder.integrate(size)

    def _handed(self, indices: Sequence[int], leaves: Sequence[bytes]) -> list[Receipt]:
        """Return the receipts as who built the tree handed them out; none, unless all are there and hold."""
        handed = self._folder.handout.take(indices)
        try:
            for receipt, leaf in zip(handed, leaves, strict=False):
                receipt.check_leaf(leaf)
        except (InclusionError, MalformedError):
            return []
        return handed

    def _receipts(self, indices: Sequence[int], leaves: Sequence[bytes], signed: SignedCheckpoint) -> list[Receipt]:
        """Return a receipt for each of ``leaves``, off the tiles that everybody sees, after a look at it."""
        try:
            return receipts(TileTree(signed.checkpoint.size, self._folder.tiles.read), signed, indices, leaves)
        except (InclusionError, MissingError, MalformedError) as error:
            raise UnderivedError(self._folder.path, whole=True) from error

    def _done(self, action: Callable[[], T]) -> T:
        """Return ``action()``, or raise LogError for whatever kept it from being done."""
        try:
            with files.explained(self._folder.path, "append to"):
                return self._mended(action)
        except ConsistencyError as error:
            raise LogError(str(error)) from error  # the log's trouble, and no verdict about what was to be logged

    def _mended(self, action: Callable[[], T]) -> T:
        """Return ``action()``; what it finds missing or wrong is made again from the journal, at most twice."""
        for whole in (False, True):
            try:
                return action()
            except UnderivedError as damage:
                recover(self._folder, whole=whole or damage.whole, cosign=self._cosign)
        return action()
