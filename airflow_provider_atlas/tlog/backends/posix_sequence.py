"""How entries get their indices: they are written to the journal, those that the log has already excepted.

A process remembers the end of the journal as it last saw it, and reads on from there: most of what is there, others
have written since it wrote last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from airflow_provider_atlas.tlog import merkle
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.backends.posix_folder import LogFolder
from airflow_provider_atlas.tlog.backends.posix_journal import Position, Record
from airflow_provider_atlas.tlog.backends.posix_state import TreeState
from airflow_provider_atlas.tlog.log import place

_REMEMBERED = 4096  # leaves that the index has by now are forgotten when there are more than so many


@dataclass(slots=True)
class _Tail:
    """The leaves of the journal from entry ``first`` to ``end``: those that the index may not have yet."""

    first: int
    end: Position
    leaves: dict[bytes, int] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        for index, entry in enumerate(record.entries(), record.first):
            self.leaves.setdefault(merkle.leaf_hash(entry), index)
        self.end = record.end


class Sequencer:
    """Gives entries their indices in the log in ``folder``."""

    def __init__(self, folder: LogFolder) -> None:
        self._folder = folder
        self._tail: _Tail | None = None

    def sequence(self, entries: Sequence[bytes], leaves: Sequence[bytes], state: TreeState) -> list[int]:
        """Write what is new of ``entries``, whose leaf hashes are ``leaves``, and return the index of each.

        ``state`` is one that the log had. Nothing is durable by this. Raises ConsistencyError when the journal is
        another, or an older one.
        """
        known = self._folder.index.find(leaves)
        with files.locked(self._folder.lock):
            tail, self._tail = self._at(state), None
            for record in self._folder.journal.read(tail.end):
                tail.add(record)
            known |= {leaf: tail.leaves[leaf] for leaf in leaves if leaf in tail.leaves}
            fresh, indices = place(entries, leaves, known, tail.end.size)
            if fresh:
                tail.end = self._folder.journal.append_entries(tail.end, fresh)
                for leaf, index in zip(leaves, indices, strict=True):
                    tail.leaves.setdefault(leaf, index)
            self._tail = tail
        return indices

    def _at(self, state: TreeState) -> _Tail:
        tail = self._tail
        if tail is None or not tail.first <= state.size <= tail.end.size:
            return _Tail(first=state.size, end=state.position)
        if len(tail.leaves) > _REMEMBERED:
            left = {leaf: index for leaf, index in tail.leaves.items() if index >= state.size}
            return _Tail(first=state.size, end=tail.end, leaves=left)
        return tail
