"""What a writer holds in memory of a log that grows by commits: its edge, and all that is not published yet.

Pure: commits come in, and what is to be written for them comes out, the same for every writer.
"""

from collections.abc import Sequence

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import ConsistencyError
from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.commit import Commit
from airflow_provider_atlas.tlog.edge import Edge, TileContent
from airflow_provider_atlas.tlog.tile import FULL, bundle


class Growth:
    """A log as far as its commits were read: the tree of ``size`` entries, and what came since it was published."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._full: list[TileContent] = []
        self._roots = {edge.size: edge.root()}
        self.tail: dict[bytes, int] = {}
        """The index of each leaf hash that may not be in the log's index yet."""

    @property
    def size(self) -> int:
        """The number of entries in the tree."""
        return self._edge.size

    def checkpoint(self, origin: str) -> Checkpoint:
        """Return what the log ``origin`` says of the tree."""
        return Checkpoint(origin=origin, size=self.size, root=self._edge.root())

    def propose(self, entries: Sequence[bytes]) -> Commit:
        """Return the commit that adds ``entries``, at least one, to the tree. The tree does not have them by it."""
        peaks, size = self._edge.peaks(), self.size
        for at, entry in enumerate(entries, size):
            merkle.grow(peaks, at, merkle.leaf_hash(entry))
        return Commit(
            first=size,
            count=len(entries),
            before=self._edge.root(),
            after=merkle.fold(peaks),
            payload=bundle(entries),
        )

    def apply(self, commit: Commit) -> None:
        """Add the entries of ``commit`` to the tree.

        Raises ConsistencyError unless it continues this tree and leads where it says, MalformedError when it cannot be
        read; then this growth is of no more use.
        """
        if (commit.first, commit.before) != (self.size, self._edge.root()):
            raise ConsistencyError("expected a commit that continues the log")
        entries = commit.entries()
        for index, entry in enumerate(entries, commit.first):
            self.tail.setdefault(merkle.leaf_hash(entry), index)
        self._full.extend(self._edge.extend(entries))
        self._roots[self.size] = self._edge.root()
        if self._roots[self.size] != commit.after:
            raise ConsistencyError("expected a commit to lead to the root that it names")

    def root_at(self, size: int) -> bytes | None:
        """Return the root that the tree had at ``size``, or None when no commit since the published one ended there."""
        return self._roots.get(size)

    def unpublished(self) -> list[TileContent]:
        """Return every tile and bundle that the tree has and the published one may not: the full ones first."""
        return [*self._full, *self._edge.partials()]

    def published(self, size: int) -> list[TileContent]:
        """Forget what all can read now that the tree of ``size`` is published; return the full tiles among it."""
        done = [made for made in self._full if _end(made) <= size]
        self._full = [made for made in self._full if _end(made) > size]
        self.tail = {leaf: index for leaf, index in self.tail.items() if index >= size}
        self._roots = {at: root for at, root in self._roots.items() if at >= min(size, self.size)}
        return done


def _end(made: TileContent) -> int:
    """Return the size of the tree that filled a full tile or bundle."""
    return (made.tile.number + 1) * FULL << 8 * max(made.tile.level, 0)
