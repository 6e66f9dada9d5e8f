"""What the process that built the tree hands to those that waited for it: the receipts of the entries that it added.

A ring of 1024 slots; entry ``index`` has the slot ``index % 1024``, 2 KiB each::

    u64 index ‖ u16 length of the note ‖ u8 hashes ‖ note ‖ hashes × 32 bytes ‖ u32 check

``check`` is the CRC-32 of what is before it. Whoever takes a receipt checks it too, so a slot is written over in
place, and may be torn, late, or gone: then the tiles have the proof as well.
"""

import os
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.note import SignedNote
from airflow_provider_atlas.tlog.receipt import Receipt

MOST = 256
"""The most receipts that are handed out at once. Who adds more entries makes its own proofs off the tiles."""

_SLOTS = 1024
_SLOT = 2048
_HEADER = struct.Struct(">QHB")
_CHECK = struct.Struct(">I")
_HASH = 32


class Handout:
    """The receipts in the file ``path``. Who gives holds ``.state/tree-lock``; who takes needs no lock."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._note = b"", SignedNote(text="", signatures=())

    def give(self, note: bytes, first: int, proofs: Sequence[Sequence[bytes]]) -> None:
        """Hand out the inclusion proofs of the entries from index ``first`` on in the tree that ``note`` signs."""
        slots = [_spell(index, note, hashes) for index, hashes in enumerate(proofs, first)]
        if not all(len(slot) == _SLOT for slot in slots):
            return  # many witnesses signed: a receipt is larger than a slot
        before = _SLOTS - first % _SLOTS
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, files.PRIVATE)
        try:
            files.write(descriptor, b"".join(slots[:before]), first % _SLOTS * _SLOT)
            files.write(descriptor, b"".join(slots[before:]), 0)
        finally:
            os.close(descriptor)

    def take(self, indices: Sequence[int]) -> list[Receipt]:
        """Return the receipts of the entries ``indices``, not to be believed; none unless all are there."""
        found = []
        with suppress(FileNotFoundError, MalformedError):
            descriptor = os.open(self._path, os.O_RDONLY)
            try:
                for index in indices:
                    slot = os.pread(descriptor, _SLOT, index % _SLOTS * _SLOT)
                    found.append(self._parse(slot, index))
            finally:
                os.close(descriptor)
            return found
        return []

    def _parse(self, slot: bytes, index: int) -> Receipt:
        if len(slot) < _SLOT:
            raise MalformedError("expected a whole slot")
        given, length, count = _HEADER.unpack_from(slot)
        middle = _HEADER.size + length
        end = middle + count * _HASH
        if given != index or end + _CHECK.size > _SLOT or _CHECK.unpack_from(slot, end)[0] != zlib.crc32(slot[:end]):
            raise MalformedError(f"expected the receipt of entry {index}")
        note = slot[_HEADER.size : middle]
        if self._note[0] != note:
            self._note = note, SignedNote.parse(note)
        hashes = tuple(slot[at : at + _HASH] for at in range(middle, end, _HASH))
        return Receipt(index=index, hashes=hashes, note=self._note[1])


def _spell(index: int, note: bytes, hashes: Sequence[bytes]) -> bytes:
    content = b"".join([_HEADER.pack(index, len(note) & 0xFFFF, len(hashes)), note, *hashes])
    return (content + _CHECK.pack(zlib.crc32(content))).ljust(_SLOT, b"\0")
