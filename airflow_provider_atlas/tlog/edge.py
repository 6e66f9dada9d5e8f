"""The right edge of a growing tree: what must be kept of it to add the next entry and to know the root.

An edge is small, at most 255 hashes for each level of tiles and 255 entries, whatever the size of the tree. It is the
one place where tiles are made, so a log that writes them, one that repairs them and an auditor that doubts them agree.

See: https://c2sp.org/tlog-tiles, RFC 6962 §2.1.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import ConsistencyError
from airflow_provider_atlas.tlog.tile import ENTRIES, FULL, Tile, bundle, parse_bundle, parse_hashes, tile_at


class TileContent(NamedTuple):
    """A tile or entry bundle, and the bytes in it."""

    tile: Tile
    content: bytes


class Edge:
    """The right edge of the tree of ``size`` entries."""

    def __init__(self) -> None:
        self.size = 0
        self._entries: list[bytes] = []
        self._levels = [_Level()]

    @classmethod
    def load(cls, size: int, read: Callable[[Tile], bytes]) -> "Edge":
        """Return the edge of the tree of ``size`` entries; ``read`` returns the content of a partial tile.

        Raises what ``read`` raises, MalformedError for a tile of another width, and ConsistencyError when the entries
        of the last bundle are not those of the last tile. The root is for the caller to compare.
        """
        edge = cls()
        edge.size = size
        if size % FULL:
            last = tile_at(ENTRIES, size // FULL, size)
            edge._entries = parse_bundle(read(last), last.width)
        edge._levels = [_Level(hashes) for hashes in _load_levels(size, read)]
        if [merkle.leaf_hash(entry) for entry in edge._entries] != edge._levels[0].hashes:
            raise ConsistencyError("expected the last bundle to hold the entries of the last tile")
        return edge

    @classmethod
    def above(cls, size: int, read: Callable[[Tile], bytes]) -> "Edge":
        """Return the edge of the tree of ``size`` entries, a multiple of 256, from its full tiles alone.

        Raises what ``read`` raises, and MalformedError for a tile of another width.
        """
        edge = cls()
        edge.size = size
        level = 0
        while hashes := size >> 8 * (level + 1):
            numbers = range(hashes - hashes % FULL, hashes)
            tiles = (Tile(level=level, number=number) for number in numbers)
            edge._levels.append(_Level(merkle.perfect_root(parse_hashes(read(tile), tile)) for tile in tiles))
            level += 1
        return edge

    def extend(self, entries: Iterable[bytes]) -> Iterator[TileContent]:
        """Add ``entries``, and yield each tile and bundle that becomes full by it."""
        for entry in entries:
            self._entries.append(entry)
            self.size += 1
            yield from self._push(merkle.leaf_hash(entry))

    def partials(self, since: int = 0) -> Iterator[TileContent]:
        """Yield the partial tiles and the partial bundle at the edge, except those that were so at size ``since``."""
        if self._entries and self.size > since:
            yield TileContent(tile_at(ENTRIES, self.size // FULL, self.size), bundle(self._entries))
        for number, level in enumerate(self._levels):
            if level.hashes and self.size >> 8 * number > since >> 8 * number:
                yield TileContent(tile_at(number, self.size >> 8 * (number + 1), self.size), level.content())

    def root(self) -> bytes:
        """Return the root of the tree."""
        return merkle.fold(self.peaks())

    def peaks(self) -> list[bytes]:
        """Return the hashes of the complete subtrees that the tree consists of, widest first."""
        return [peak for level in reversed(self._levels) for peak in level.peaks]

    def _push(self, above: bytes) -> Iterator[TileContent]:
        """Add a leaf hash, and to each level above the root of the tile that it filled."""
        for number, level in enumerate(self._levels):
            level.add(above)
            if len(level.hashes) < FULL:
                return
            tile = Tile(level=number, number=(self.size >> 8 * (number + 1)) - 1)
            if number == 0:
                yield TileContent(Tile(level=ENTRIES, number=tile.number), bundle(self._entries))
                self._entries = []
            yield TileContent(tile, level.content())
            above = level.peaks[0]
            self._levels[number] = _Level()
        self._levels.append(_Level([above]))


class _Level:
    """The hashes of the partial tile at one level, and the roots of the complete subtrees they form, widest first."""

    def __init__(self, hashes: Iterable[bytes] = ()) -> None:
        self.hashes: list[bytes] = []
        self.peaks: list[bytes] = []
        for digest in hashes:
            self.add(digest)

    def add(self, digest: bytes) -> None:
        merkle.grow(self.peaks, len(self.hashes), digest)
        self.hashes.append(digest)

    def content(self) -> bytes:
        return b"".join(self.hashes)


def _load_levels(size: int, read: Callable[[Tile], bytes]) -> Iterator[list[bytes]]:
    level = 0
    while (hashes := size >> 8 * level) or level == 0:
        last = tile_at(level, hashes // FULL, size)
        yield parse_hashes(read(last), last) if last.width else []
        level += 1
