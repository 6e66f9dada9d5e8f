"""How entries get their indices: they are written to the journal, those that the log has already excepted.

A process remembers the end of the journal as it last saw it, and reads on from there: most of what is there, others
have written since it wrote last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from airflow_provider_atlas import merkle
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.backends.posix_folder import LogFolder
from airflow_provider_atlas.tlog.backends.posix_journal import Block, Position
from airflow_provider_atlas.tlog.log import place

_FORGOTTEN = 1024
_SEARCHED = 2**18  # bytes that are searched for an entry sooner than they are hashed to look it up


@dataclass(slots=True)
class _Tail:
    """The journal up to ``end``: those of its entries that the index did not have yet when this was last looked at.

    ``leaves`` has the first index of each leaf hash of them, but for the blocks ``unread``. All below ``indexed``
    are in the index.
    """

    indexed: int
    end: Position
    leaves: dict[bytes, int] = field(default_factory=dict)
    unread: list[Block] = field(default_factory=list)

    def add(self, block: Block) -> None:
        self.end = block.end
        self.unread.append(block)
        self.indexed = max(self.indexed, block.durable)  # what was built, and indexed, before that checkpoint

    def forget(self) -> None:
        """Forget what the index has by now: to be called between two looks at it, and not after the first."""
        self.unread = [block for block in self.unread if block.end.size > self.indexed]
        if len(self.leaves) > _FORGOTTEN:
            self.leaves = {leaf: index for leaf, index in self.leaves.items() if index >= self.indexed}

    def find(self, entries: Sequence[bytes], leaves: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
        """Yield those of ``leaves``, the leaf hashes of ``entries``, that are here, each with its index."""
        if len(entries) * sum(len(block.data) for block in self.unread) > _SEARCHED or any(
            entry in block.data for block in self.unread for entry in entries
        ):
            self._read()
        for leaf in leaves:
            if leaf in self.leaves:
                yield leaf, self.leaves[leaf]

    def _read(self) -> None:
        for block in self.unread:
            for record in block.records():
                for index, entry in enumerate(record.entries(), record.first):
                    self.leaves.setdefault(merkle.leaf_hash(entry), index)
        self.unread = []


class Places(NamedTuple):
    """The index of each entry that was sequenced, and where the journal ends and the index did, as far as is known."""

    indices: list[int]
    end: Position
    indexed: int


class Sequencer:
    """Gives entries their indices in the log in ``folder``."""

    def __init__(self, folder: LogFolder) -> None:
        self._folder = folder
        self._tail: _Tail | None = None

    def sequence(self, entries: Sequence[bytes], leaves: Sequence[bytes]) -> Places:
        """Write what is new of ``entries``, whose leaf hashes are ``leaves``, and return where each of them is.

        Nothing is durable by this. Raises ConsistencyError when the journal is another, or an older one, and
        UnderivedError when it is not known which entries the log has.
        """
        new = None if self._tail and self._folder.index.exists() else self._from_state()
        known = self._folder.index.find(leaves)
        with files.locked(self._folder.lock):
            tail, self._tail = new or self._tail or self._from_state(), None
            for block in self._folder.journal.blocks(tail.end):
                tail.add(block)
            known.update(tail.find(entries, leaves))
            fresh, indices = place(entries, leaves, known, tail.end.size)
            if fresh:
                tail.end = self._folder.journal.append_entries(tail.end, fresh)
                tail.leaves.update(zip(leaves, indices, strict=True))
            tail.forget()
            self._tail = tail
            return Places(indices, tail.end, tail.indexed)

    def _from_state(self) -> _Tail:
        state = self._folder.state()
        return _Tail(indexed=state.size, end=state.position)
