"""Which leaf is where: an index from leaf hashes to the first index of each, so that nothing is logged twice.

256 files, by the first byte of the leaf hash, each a list of ``leaf hash ‖ u64 index``. It is derived: appended to
without waiting for the disk, trusted only while the machine is up, and made anew from the tiles. If it is wrong, the
receipt that it leads to does not hold.
"""

import os
from collections.abc import Iterable

from airflow_provider_atlas.tlog.backends import posix_files as files

_RECORD = 40
_BLOCK = 1 << 16


class LeafIndex:
    """The index in the folder ``path``. Who adds holds the lock ``.state/tree-lock``; who looks needs none."""

    def __init__(self, path: str) -> None:
        self._path = path

    def create(self) -> None:
        """Make the index, empty, unless it is there."""
        os.makedirs(self._path, 0o700, exist_ok=True)

    def exists(self) -> bool:
        """Whether there is an index."""
        return os.path.isdir(self._path)

    def find(self, leaves: Iterable[bytes]) -> dict[bytes, int]:
        """Return the first index of each of the leaf hashes ``leaves`` that is there."""
        shards: dict[int, list[bytes]] = {}
        for leaf in leaves:
            shards.setdefault(leaf[0], []).append(leaf)
        found = {}
        for first, wanted in shards.items():
            records = files.read(self._shard(first)) or b""
            for leaf in wanted:
                at = _find(records, leaf)
                if at >= 0:
                    found[leaf] = int.from_bytes(records[at + 32 : at + _RECORD], "big")
        return found

    def add(self, leaves: Iterable[tuple[bytes, int]]) -> None:
        """Add leaf hashes, each with its index, in order. Adding one again does no harm."""
        _add(self._path, leaves)

    def rebuild(self, leaves: Iterable[tuple[bytes, int]]) -> None:
        """Make the index anew from all ``leaves``, in order."""
        fresh, stale = f"{self._path}.fresh", f"{self._path}.stale"
        files.remove_folder(fresh)
        files.remove_folder(stale)
        os.mkdir(fresh, 0o700)
        _add(fresh, leaves)
        if self.exists():
            os.rename(self._path, stale)
        # A crash here leaves no index, which is seen, and mended by the next rebuild.
        os.rename(fresh, self._path)
        files.remove_folder(stale)

    def is_whole(self, size: int) -> bool:
        """Whether the index of ``size`` leaves lost nothing to a power failure: no tail and no block of a file."""
        if not self.exists():
            return False
        shards = [files.read(self._shard(first)) or b"" for first in range(256)]
        return sum(map(len, shards)) == _RECORD * size and not any(bytes(32) in shard for shard in shards)

    def _shard(self, first: int) -> str:
        return f"{self._path}/{first:02x}"


def _find(records: bytes, leaf: bytes) -> int:
    """Return where the first record of ``leaf`` begins, or -1."""
    at = records.find(leaf)
    while at >= 0 and at % _RECORD:
        at = records.find(leaf, at + 1)  # what looked like it was part of two records
    return at


def _add(path: str, leaves: Iterable[tuple[bytes, int]]) -> None:
    shards: dict[int, bytearray] = {}
    for count, (leaf, index) in enumerate(leaves, 1):
        shards.setdefault(leaf[0], bytearray()).extend(leaf + index.to_bytes(8, "big"))
        if count % _BLOCK == 0:  # a rebuild of a large log must fit in memory
            _flush(path, shards)
    _flush(path, shards)


def _flush(path: str, shards: dict[int, bytearray]) -> None:
    for first, records in shards.items():
        descriptor = os.open(f"{path}/{first:02x}", os.O_WRONLY | os.O_CREAT, files.PRIVATE)
        try:
            size = os.fstat(descriptor).st_size
            # A full disk, or a death, may have cut the last record short. It is added again, and begins where it did.
            files.write(descriptor, bytes(records), size - size % _RECORD)
        finally:
            os.close(descriptor)
    shards.clear()
