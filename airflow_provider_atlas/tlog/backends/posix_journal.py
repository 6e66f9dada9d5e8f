"""The journal of a log: the one file that decides what is in it, and in which order.

A record is ``u32 length ‖ u32 count ‖ u64 first ‖ payload ‖ u32 check``, big-endian; ``length`` is the payload's.
The payload of ``count`` > 0 is that many entries, spelled as in a bundle, the first of them at index ``first``. With
``count`` = 0 it is a checkpoint that the log signed, and ``first`` is the size below which every full tile was durable
when it did. ``check`` is the CRC-32 of the record, seeded with the check of the record before it, so that four bytes
tell one history of a segment from another.

A segment is named by the index of its first entry, ``<first:020d>.log``, and ends near 16 MiB. The last one is written
ahead with zeros, a quarter of a MiB at a time: to wait for bytes that the file has room for already asks nothing of the
file system but to write them, where a file that grew has it write out what all others changed as well.
"""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from airflow_provider_atlas.errors import ConfigError, ConsistencyError
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.tile import bundle, parse_bundle

SEGMENT_BYTES = 16 * 2**20
"""A segment that reaches this size is followed by another."""

_AHEAD = 2**18
_WINDOW = 2**16
_HEADER = struct.Struct(">IIQ")
_CHECK = struct.Struct(">I")
_RECORD_ENTRIES = 4096
_MAX_PAYLOAD = _RECORD_ENTRIES * (2 + 65_535)
_FOREIGN = (
    "the journal {} is not the one that the log was built from, or has lost records: restore the log's folder from a"
    " backup that is not older than its checkpoint"
)


class Position(NamedTuple):
    """A place between two records: the segment, the bytes and the entries before it, and the check of the last one."""

    segment: int
    offset: int
    size: int
    check: int


START = Position(segment=0, offset=0, size=0, check=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record and the place after it. ``first`` and ``count`` are as in the module's docstring."""

    first: int
    count: int
    payload: bytes
    end: Position

    def entries(self) -> list[bytes]:
        """Return the entries in the record; none, when it holds a checkpoint."""
        return parse_bundle(self.payload, self.count) if self.count else []


class Block(NamedTuple):
    """Some whole records of one segment: their bytes, and the places before and after them.

    ``durable`` is what the last checkpoint among them says of full tiles; 0, when there is none.
    """

    data: bytes
    start: Position
    end: Position
    durable: int

    def records(self) -> Iterator[Record]:
        """Yield the records one by one."""
        at, (segment, offset, size, _) = 0, self.start
        while at < len(self.data):
            length, count, first = _HEADER.unpack_from(self.data, at)
            middle, at = at + _HEADER.size, at + _HEADER.size + length + _CHECK.size
            size += count
            end = Position(segment, offset + at, size, _CHECK.unpack_from(self.data, at - _CHECK.size)[0])
            yield Record(first=first, count=count, payload=self.data[middle : middle + length], end=end)


class Journal:
    """The journal in the folder ``path``. Who appends holds the lock ``.state/lock``; who reads needs none."""

    def __init__(self, path: str) -> None:
        self._path = path

    def create(self) -> None:
        """Make the journal, empty, unless it is there. Raises ConfigError when it is there and holds records."""
        os.makedirs(self._path, 0o700, exist_ok=True)
        if any(os.path.getsize(self._segment(first)) for first in self.segments()):
            raise ConfigError(f"the log of the journal {self._path} has lost its format.json: restore that file")
        os.close(os.open(self._segment(0), os.O_WRONLY | os.O_CREAT, files.PRIVATE))
        files.sync_folder(self._path)

    def segments(self) -> list[int]:
        """Return the first index of each segment, in order."""
        return sorted(int(name.removesuffix(".log")) for name in os.listdir(self._path) if name.endswith(".log"))

    def sync(self, end: Position | None = None) -> None:
        """Return when every record before ``end`` is on the disk, or every one; those before the last segment are."""
        files.sync(self._segment(end.segment if end else self.segments()[-1]))

    def trim(self) -> None:
        """Drop what is behind the last whole record: after a power failure it may be anything, in any order."""
        segment = self.segments()[-1]
        end = Position(segment=segment, offset=0, size=segment, check=0)
        for record in self.read(end):
            end = record.end
        os.truncate(self._segment(segment), end.offset)

    def last_checkpoint(self) -> Record | None:
        """Return the last record that holds a checkpoint, or None when the log signed none."""
        found = None
        for first in reversed(self.segments()):
            for record in self.read(Position(segment=first, offset=0, size=first, check=0)):
                found = found if record.count else record
            if found:
                break
        return found

    def seek(self, index: int) -> Position:
        """Return the place before the record that holds the entry ``index``, or the end of what is whole before it.

        Raises ConsistencyError when no segment can hold it.
        """
        before = [first for first in self.segments() if first <= index]
        if not before:
            raise ConsistencyError("expected the journal of the log to begin with its first entry")
        position = Position(segment=before[-1], offset=0, size=before[-1], check=0)
        for record in self.read(position):
            if record.end.size > index:
                break
            position = record.end
        return position

    def read(self, position: Position) -> Iterator[Record]:
        """Yield the records from ``position`` on, as ``blocks`` finds them."""
        for block in self.blocks(position):
            yield from block.records()

    def blocks(self, position: Position) -> Iterator[Block]:
        """Yield the records from ``position`` on, up to the first that is not whole, many at a time.

        A record that is not whole is one that is being written, or whose writer died: nobody was told that it is there.
        Raises ConsistencyError when ``position`` is no place in this journal, because it is another, or an older one.
        """
        window = _WINDOW
        while True:
            data = self._read(position, window)
            block = _whole(data, position)
            if block.data:
                yield block
            position = block.end
            left = data[len(block.data) :]
            if len(data) == window and _claimed(left) > len(left):
                window = max(_claimed(left), _WINDOW)  # the record goes on behind what was read
            elif position.size != position.segment and os.path.exists(self._segment(position.size)):
                position = Position(segment=position.size, offset=0, size=position.size, check=0)
            else:
                return

    def append_entries(self, end: Position, entries: Sequence[bytes]) -> Position:
        """Write ``entries`` after ``end``, the last whole record, and return the new end. Nothing is durable yet."""
        chunks = [entries[at : at + _RECORD_ENTRIES] for at in range(0, len(entries), _RECORD_ENTRIES)]
        end = self._rotate(end)
        content, check, first = [], end.check, end.size
        for chunk in chunks:
            record = _spell(len(chunk), first, bundle(chunk), check)
            check, first = _CHECK.unpack(record[-4:])[0], first + len(chunk)
            content.append(record)
        written = b"".join(content)
        self._write(end, written)
        return Position(end.segment, end.offset + len(written), first, check)

    def append_checkpoint(self, end: Position, note: bytes, durable: int) -> str:
        """Write the signed ``note`` after ``end``, the last whole record, and return the path of the segment.

        ``durable`` is the size below which every full tile is on the disk.
        """
        self._write(end, _spell(0, durable, note, end.check))
        return self._segment(end.segment)

    def _rotate(self, end: Position) -> Position:
        """Begin a new segment when the last one is full. All but the last segment are durable, always."""
        if end.offset < SEGMENT_BYTES or end.size == end.segment:
            return end
        os.truncate(self._segment(end.segment), end.offset)
        files.sync(self._segment(end.segment))
        # A crash here leaves a whole segment and no next one, or an empty one; both read as the end of the journal.
        descriptor = os.open(self._segment(end.size), os.O_WRONLY | os.O_CREAT, files.PRIVATE)
        try:
            if os.fstat(descriptor).st_size:
                raise ConsistencyError(_FOREIGN.format(self._path))
        finally:
            os.close(descriptor)
        files.sync_folder(self._path)
        return Position(segment=end.size, offset=0, size=end.size, check=0)

    def _write(self, end: Position, content: bytes) -> None:
        descriptor = os.open(self._segment(end.segment), os.O_RDWR)
        try:
            # What lies behind the last whole record is what a writer that died has left. A longer record than ours
            # must not stick out behind it and be taken for the next one.
            if any(os.pread(descriptor, _HEADER.size, end.offset)):
                os.ftruncate(descriptor, end.offset)
            behind = end.offset + len(content)
            try:
                if behind > os.fstat(descriptor).st_size:
                    # Room first: a record must not be seen, by who reads without a lock, and then be taken back.
                    files.write(descriptor, bytes(len(content) + -behind % _AHEAD), end.offset)
                files.write(descriptor, content, end.offset)
            except OSError:
                os.ftruncate(descriptor, end.offset)  # half a record on a full disk is room that somebody needs
                raise
        finally:
            os.close(descriptor)

    def _read(self, position: Position, limit: int) -> bytes:
        """Return up to ``limit`` bytes after ``position``, when what is before it is what was there before."""
        anchor = _CHECK.size if position.offset else 0
        data = files.read_from(self._segment(position.segment), position.offset - anchor, limit + anchor)
        if data is None or data[:anchor] != _CHECK.pack(position.check)[:anchor]:
            raise ConsistencyError(_FOREIGN.format(self._path))
        return data[anchor:]

    def _segment(self, first: int) -> str:
        return f"{self._path}/{first:020d}.log"


def _spell(count: int, first: int, payload: bytes, check: int) -> bytes:
    record = _HEADER.pack(len(payload), count, first) + payload
    return record + _CHECK.pack(zlib.crc32(record, check))


def _whole(data: bytes, start: Position) -> Block:
    """Return the whole records that ``data``, which follows ``start``, begins with."""
    view, at, durable = memoryview(data), 0, 0
    segment, offset, size, check = start
    while len(data) - at >= _HEADER.size + _CHECK.size:
        length, count, first = _HEADER.unpack_from(data, at)
        end = at + _HEADER.size + length
        if not 0 < length <= _MAX_PAYLOAD or end + _CHECK.size > len(data) or (count and first != size):
            break
        found = zlib.crc32(view[at:end], check)
        if _CHECK.unpack_from(data, end)[0] != found:
            break
        at, size, check = end + _CHECK.size, size + count, found
        durable = durable if count else first
    return Block(data[:at], start, Position(segment, offset + at, size, check), durable)


def _claimed(data: bytes) -> int:
    """Return how long the record at the beginning of ``data`` says it is; 0 when there can be none."""
    if len(data) < _HEADER.size:
        return _HEADER.size
    length = _HEADER.unpack_from(data)[0]
    return _HEADER.size + length + _CHECK.size if 0 < length <= _MAX_PAYLOAD else 0
