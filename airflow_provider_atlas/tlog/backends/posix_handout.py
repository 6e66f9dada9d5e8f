"""What the process that built the tree hands to those that waited for it: the proofs of the entries that it added.

``u64 size ‖ u64 first ‖ u32 proofs``, and for each entry from ``first`` on ``u8 hashes ‖ hashes × 32 bytes``. Whoever
takes a proof checks it, so it is written over in place, and may be torn, late, or gone: the tiles have it as well.
"""

import struct
from collections.abc import Sequence

from airflow_provider_atlas.tlog.backends import posix_files as files

MOST = 256
"""The most proofs that are handed out. Who adds more entries at once makes its own proofs off the tiles."""

_HEADER = struct.Struct(">QQI")
_HASH = 32


class Handout:
    """The proofs in the file ``path``. Who gives holds ``.state/tree-lock``; who takes needs no lock."""

    def __init__(self, path: str) -> None:
        self._path = path

    def give(self, size: int, first: int, proofs: Sequence[Sequence[bytes]]) -> None:
        """Hand out the inclusion proofs in the tree of ``size`` of the entries from index ``first`` on."""
        content = [_HEADER.pack(size, first, len(proofs))]
        for hashes in proofs:
            content += [bytes([len(hashes)]), *hashes]
        files.overwrite(self._path, b"".join(content), shrink=False)

    def take(self, size: int, indices: Sequence[int]) -> list[tuple[bytes, ...]] | None:
        """Return the proofs in the tree of ``size`` of the entries ``indices``, not to be believed; None if not there.

        They are there once: when the next process has built, they are its.
        """
        data = files.read(self._path) or b""
        if len(data) < _HEADER.size:
            return None
        given, first, count = _HEADER.unpack_from(data)
        if given != size or not all(first <= index < first + count for index in indices):
            return None
        wanted, proofs, at = set(indices), {}, _HEADER.size
        for index in range(first, max(indices) + 1):
            end = at + 1 + _HASH * int.from_bytes(data[at : at + 1], "big")
            if index in wanted:
                proofs[index] = tuple(data[start : start + _HASH] for start in range(at + 1, end, _HASH))
            at = end
        return [proofs[index] for index in indices]
