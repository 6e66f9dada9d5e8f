"""A transparency log in an object store, appended to by any number of processes on any number of hosts.

::

    checkpoint, tile/…             what the log publishes, and a web server may serve (tlog-tiles)
    state/format.json              whose log it is
    state/commit/<first:020d>      what is in it, and in which order: everything else is derived from it, and none goes
    state/index/<2 hex>/<64 hex>   the index of the leaf hash that the name spells

A commit is put if its name, the size of the tree before it, is free; by that put its entries are in the log. Then what
is derived from it is put, and the checkpoint signed, shown to the log's witnesses, and put in place of the one that was
read before. A writer that dies in between leaves commits beyond the checkpoint, and whoever comes next begins by
reading them: so what a witness has seen is never taken back.

See: https://c2sp.org/tlog-tiles, docs/adr/0013-logs-many-hosts-share.md.
"""

import itertools
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_atlas.errors import ConsistencyError, LogError, MalformedError, MissingError, VerificationError
from airflow_provider_atlas.tlog import merkle
from airflow_provider_atlas.tlog.backends.last_seen import LastSeen
from airflow_provider_atlas.tlog.backends.object_bucket import Bucket
from airflow_provider_atlas.tlog.backends.object_commits import CommitObjects, Published
from airflow_provider_atlas.tlog.backends.object_tiles import TileObjects
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.edge import Edge
from airflow_provider_atlas.tlog.growth import Growth
from airflow_provider_atlas.tlog.log import check_entries, place, receipts, verifier_key
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.tile import Tile, TileTree
from airflow_provider_atlas.tlog.witness import Cosign, OvertakenError

_PATIENCE = 120.0
"""Seconds for which a writer tries to be the one whose put counts, before it says that the log is busy."""

_LONGEST_WAIT = 2.0
_FEW_COMMITS = 32
_TAIL = 16_384
"""Entries beyond the checkpoint that are held in memory; with more, what there is is published first."""

_FORKED = "the log in {} signed {} entries that it does not continue: it was rolled back or changed; restore it"


@dataclass(slots=True)
class _Head:
    """The log as far as it was read: ``growth`` begins where ``published``, a checkpoint, ends, or a little before."""

    growth: Growth
    published: Published | None
    raced: bool = False
    """Whether others append right now."""

    @property
    def signed(self) -> SignedCheckpoint | None:
        return self.published.signed if self.published else None


class ObjectStoreLog:
    """The log ``origin`` at ``uri``, whose checkpoints ``key`` signs; made if it is not there, when ``create``.

    ``uri`` is as ``Bucket`` has it. What this machine sees of the log is remembered in the folder ``seen``, or when
    that is None as long as this object lives; ``cosign`` asks its witnesses before a checkpoint is published. It may be
    used from any thread, and not across a fork. Raises ConfigError when something else is there, and LogError when the
    store is away.
    """

    def __init__(
        self,
        uri: str,
        origin: str,
        key: Ed25519PrivateKey,
        *,
        create: bool = True,
        seen: Path | None = None,
        cosign: Cosign | None = None,
    ) -> None:
        self.key = verifier_key(origin, key)
        self._bucket = Bucket(uri)
        self._tiles = TileObjects(self._bucket)
        self._commits = CommitObjects(self._bucket, self.key, key)
        self._seen = LastSeen(seen, self.key)
        self._cosign = cosign
        self._lock = threading.Lock()
        self._head: _Head | None = None
        self._commits.open(create=create)

    def append(self, entries: Sequence[bytes]) -> Sequence[Receipt]:
        """Append ``entries`` (``TransparencyLog.append``).

        Raises LogError when the store is away, or was rolled back or changed, so that signing on would fork the log.
        An entry that was not acknowledged may be in the log; appending it again returns its receipt.
        """
        check_entries(entries)
        if not entries:
            return []
        leaves = [merkle.leaf_hash(entry) for entry in entries]
        with self._lock:
            head, self._head = self._head, None  # what an error leaves behind is not gone on from
            try:
                head = head or self._open()
                indices = self._sequence(head, entries, leaves)
                signed = self._cover(head, max(indices) + 1)
                self._seen.keep(signed)
                made = receipts(self._tree(head, signed.checkpoint.size), signed, indices, leaves)
            except (MalformedError, MissingError, VerificationError) as error:
                raise LogError(f"the log in {self._bucket.uri} cannot be gone on with: {error}") from error
            self._head = head
            return made

    def latest(self) -> Checkpoint | None:
        """Return the checkpoint that the log publishes (``TransparencyLog.latest``)."""
        try:
            published = self._commits.published()
        except (MalformedError, VerificationError) as error:
            raise LogError(f"the checkpoint in {self._bucket.uri} is not signed by the log's key: remove it") from error
        return published.signed.checkpoint if published else None

    def _open(self) -> _Head:
        """Return the log as its checkpoint has it, and as the commits beyond it do."""
        published = self._commits.published()
        head = _Head(Growth(self._edge(published.signed.checkpoint) if published else Edge()), published)
        self._catch_up(head)
        self._prove(head)
        return head

    def _edge(self, checkpoint: Checkpoint) -> Edge:
        """Return the edge of the tree of ``checkpoint``, as the tiles have it, once its root is proved to be that."""
        edge = Edge.load(checkpoint.size, self._tiles.read)
        if edge.root() != checkpoint.root:
            raise ConsistencyError(f"its tiles do not lead to the checkpoint of {checkpoint.size} entries")
        return edge

    def _sequence(self, head: _Head, entries: Sequence[bytes], leaves: Sequence[bytes]) -> list[int]:
        """Commit those of ``entries`` that are not in the log, and return the index of each."""
        indexed, found = -1, dict[bytes, int]()
        for _ in self._tries():
            size = head.signed.checkpoint.size if head.signed else 0
            if indexed != size:  # what is not in memory is in the index: a look at it is good until memory is cleared
                indexed, found = size, self._tiles.find({leaf for leaf in leaves if leaf not in head.growth.tail})
            fresh, indices = place(entries, leaves, {**found, **head.growth.tail}, head.growth.size)
            if not fresh:
                return indices
            commit = head.growth.propose(fresh)
            if self._commits.put(commit):
                head.growth.apply(commit)
                return indices
            self._catch_up(head)
            head.raced = True
        raise AssertionError  # _tries ends by raising

    def _catch_up(self, head: _Head) -> None:
        """Read the commits that others have put."""
        for count in itertools.count(1):
            commit = self._commits.read(head.growth.size)
            if commit is None:
                return
            head.growth.apply(commit)
            if count % _FEW_COMMITS == 0:  # others may be far ahead: then their checkpoint is a shorter way
                self._refresh(head)
            if len(head.growth.tail) > _TAIL:
                self._publish(head)

    def _cover(self, head: _Head, size: int) -> SignedCheckpoint:
        """Return a published checkpoint of at least ``size`` entries: another writer's, if it was faster."""
        for _ in self._tries():
            if head.signed and head.signed.checkpoint.size >= size:
                return head.signed
            if head.growth.size < size or head.raced:
                self._catch_up(head)
            if head.growth.size < size:
                raise ConsistencyError(f"its index tells of {size} entries, and its commits of {head.growth.size}")
            if head.raced:  # one of those who append right now may publish for all: let it, for a moment
                head.raced = False
                self._refresh(head)
            else:
                self._publish_or_follow(head)
        raise AssertionError  # _tries ends by raising

    def _publish_or_follow(self, head: _Head) -> None:
        """Publish; or, where a witness has seen more, read on, for another writer is ahead."""
        size = head.growth.size
        try:
            self._publish(head)
        except OvertakenError:
            self._catch_up(head)
            if head.growth.size == size:  # nobody is: the witness has seen what this log does not have
                raise
            head.raced = True

    def _publish(self, head: _Head) -> None:
        """Put what follows from the commits, then the checkpoint; or see who was faster."""
        self._prove(head)
        if head.signed and head.signed.checkpoint.size >= head.growth.size:
            return
        # A crash anywhere here leaves commits that the next writer reads, and puts the same for.
        self._tiles.put(head.growth.unpublished(), head.growth.tail)
        # The tree was grown from that of the last checkpoint, whose root was compared: so it is consistent with it.
        signed = self._cosigned(self._commits.sign(head.growth.checkpoint(self.key.name)), head.signed)
        published = self._commits.publish(signed, head.published)
        if published is None:
            self._refresh(head)
            return
        head.published = published
        filled = head.growth.published(published.signed.checkpoint.size)
        with suppress(LogError):  # the entries are in; what is left of partial tiles costs room and nothing else
            self._tiles.collect(filled)

    def _cosigned(self, signed: SignedCheckpoint, before: SignedCheckpoint | None) -> SignedCheckpoint:
        """Return ``signed`` with the cosignatures that it is to be published with.

        The commits that it covers are in the store, and none goes: what a witness cosigned the log can never lose.
        """
        if self._cosign is None:
            return signed
        size = signed.checkpoint.size

        def proof(old: int) -> Sequence[bytes]:
            return TileTree(size, self._tiles.read).consistency_proof(old)

        return SignedCheckpoint(signed.checkpoint, self._cosign(signed.note, before.note if before else None, proof))

    def _prove(self, head: _Head) -> None:
        """Check that what was read continues what this machine has seen of the log."""
        if self._seen.size > head.growth.size:  # another process of this machine may be ahead
            self._catch_up(head)
        self._seen.check(head.growth.size, lambda size: self._root_at(head, size))

    def _refresh(self, head: _Head) -> None:
        """See what the log publishes by now, and that it continues, or is continued by, what was read."""
        published = self._commits.published()
        if published and published.signed.checkpoint.size > head.growth.size:
            self._jump(head, published)
        elif published:
            checkpoint = published.signed.checkpoint
            if self._root_at(head, checkpoint.size) != checkpoint.root:
                raise ConsistencyError(_FORKED.format(self._bucket.uri, checkpoint.size))
            head.growth.published(checkpoint.size)
        head.published = published

    def _jump(self, head: _Head, published: Published) -> None:
        """Go on from ``published``, which is ahead of what was read, once it is proved to continue it."""
        ahead, here = published.signed.checkpoint, head.growth.checkpoint(self.key.name)
        proof = TileTree(ahead.size, self._tiles.read).consistency_proof(here.size)
        merkle.check_consistency(here.size, ahead.size, here.root, ahead.root, proof)
        head.growth = Growth(self._edge(ahead))

    def _root_at(self, head: _Head, size: int) -> bytes:
        """Return the root that the log had at ``size``, which is not ahead of what was read."""
        known = head.growth.root_at(size)
        return merkle.root(size, self._tree(head, head.growth.size).node) if known is None else known

    def _tree(self, head: _Head, size: int) -> TileTree:
        """Return the tree of ``size``; what this writer has in memory of it is not read, for it may not be there."""
        made = dict(head.growth.unpublished()) if size == head.growth.size else {}

        def read(tile: Tile) -> bytes:
            return made[tile] if tile in made else self._tiles.read(tile)

        return TileTree(size, read)

    def _tries(self) -> Iterator[int]:
        """Yield as long as it is worth to try again, after a random wait that grows from try to try."""
        end = time.monotonic() + _PATIENCE
        for count in itertools.count():
            yield count
            if time.monotonic() > end:
                raise LogError(f"others append to the log in {self._bucket.uri} all the time: append more at once")
            # Random, so that two writers that met do not meet again.
            time.sleep(random.uniform(0, min(_LONGEST_WAIT, 0.01 * 2**count)))  # noqa: S311
