"""The right edge of a growing tree: what must be kept of it to add the next entry and to know the root.

An edge is small, at most 255 hashes for each level of tiles and 255 entries, whatever the size of the tree. It is the
one place where tiles are made, so a log that writes them, one that repairs them and an auditor that doubts them agree.

See: https://c2sp.org/tlog-tiles, RFC 6962 §2.1.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import ConsistencyError
from airflow_provider_atlas.tlog.tile import ENTRIES, FULL, Tile, bundle, parse_bundle, parse_hashes, tile_at

_HEIGHT = 8


class TileContent(NamedTuple):
    """A tile or entry bundle, and the bytes in it."""

    tile: Tile
    content: bytes


class Edge:
    """The right edge of the tree of ``size`` entries."""

    def __init__(self) -> None:
        self.size = 0
        self._bundle = b""
        self._levels = [_Level()]

    @classmethod
    def load(cls, size: int, read: Callable[[Tile], bytes], known: bytes = b"") -> "Edge":
        """Return the edge of the tree of ``size`` entries; ``read`` returns the content of a partial tile.

        A last bundle whose SHA-256 is ``known`` is taken for that of the tree. Raises what ``read`` raises,
        MalformedError for a tile of another width, and ConsistencyError when the entries of the last bundle are not
        those of the last tile. The root is for the caller to compare.
        """
        edge = cls()
        edge.size = size
        edge._levels = [_Level(hashes) for hashes in _load_levels(size, read)]
        if size % FULL:
            last = tile_at(ENTRIES, size // FULL, size)
            edge._bundle = read(last)
            if edge.bundle_digest() != known:
                edge._compare(parse_bundle(edge._bundle, last.width))
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
        left = iter(entries)
        while part := list(itertools.islice(left, FULL - self.size % FULL)):
            self._bundle += bundle(part)
            self._levels[0].add(map(merkle.leaf_hash, part))
            self.size += len(part)
            if self.size % FULL == 0:
                yield from self._fill()

    def partials(self, since: int = 0) -> Iterator[TileContent]:
        """Yield the partial tiles and the partial bundle at the edge, except those that were so at size ``since``."""
        if self._bundle and self.size > since:
            yield TileContent(tile_at(ENTRIES, self.size // FULL, self.size), self._bundle)
        for number, level in enumerate(self._levels):
            if level.hashes and self.size >> 8 * number > since >> 8 * number:
                yield TileContent(tile_at(number, self.size >> 8 * (number + 1), self.size), level.content())

    def root(self) -> bytes:
        """Return the root of the tree."""
        return merkle.fold(self.peaks())

    def peaks(self) -> list[bytes]:
        """Return the hashes of the complete subtrees that the tree consists of, widest first."""
        return [peak for level in reversed(self._levels) for peak in level.peaks()]

    def node(self, height: int, position: int) -> bytes | None:
        """Return the hash of a complete subtree (``merkle.Node``) that is at the edge, or None for any other."""
        number, inner = divmod(height, _HEIGHT)
        first = self.size >> 8 * (number + 1) << _HEIGHT - inner
        if number >= len(self._levels) or position < first:
            return None
        return self._levels[number].heights[inner][position - first]

    def bundle_digest(self) -> bytes:
        """Return the SHA-256 of the partial bundle at the edge."""
        return hashlib.sha256(self._bundle).digest()

    def _compare(self, entries: Sequence[bytes]) -> None:
        if list(map(merkle.leaf_hash, entries)) != self._levels[0].hashes:
            raise ConsistencyError("expected the last bundle to hold the entries of the last tile")

    def _fill(self) -> Iterator[TileContent]:
        """Yield the bundle and the tiles that have just become full, and begin the next ones."""
        yield TileContent(Tile(level=ENTRIES, number=self.size // FULL - 1), self._bundle)
        self._bundle = b""
        for number, level in enumerate(self._levels):
            if len(level.hashes) < FULL:
                return
            yield TileContent(Tile(level=number, number=(self.size >> 8 * (number + 1)) - 1), level.content())
            self._levels[number] = _Level()
            if number + 1 == len(self._levels):
                self._levels.append(_Level())
            self._levels[number + 1].add(level.peaks())


class _Level:
    """The hashes of the partial tile at one level, and what is above them in it, height by height."""

    def __init__(self, hashes: Iterable[bytes] = ()) -> None:
        self.heights: list[list[bytes]] = [[] for _ in range(_HEIGHT + 1)]
        self.hashes = self.heights[0]
        self.add(hashes)

    def add(self, hashes: Iterable[bytes]) -> None:
        self.hashes.extend(hashes)
        for below, above in itertools.pairwise(self.heights):
            pairs = range(2 * len(above), len(below) - 1, 2)
            above.extend([merkle.node_hash(below[at], below[at + 1]) for at in pairs])

    def peaks(self) -> list[bytes]:
        """Return the roots of the complete subtrees that the hashes form, widest first."""
        return [hashes[-1] for hashes in reversed(self.heights) if len(hashes) % 2]

    def content(self) -> bytes:
        return b"".join(self.hashes)


def _load_levels(size: int, read: Callable[[Tile], bytes]) -> Iterator[list[bytes]]:
    level = 0
    while (hashes := size >> 8 * level) or level == 0:
        last = tile_at(level, hashes // FULL, size)
        yield parse_hashes(read(last), last) if last.width else []
        level += 1
