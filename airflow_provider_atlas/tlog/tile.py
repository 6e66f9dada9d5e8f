"""Tiles: how a tree and its entries are laid out in files that never change.

A tree of 70,000 entries is ``tile/0/000`` … ``tile/0/272`` and ``tile/0/273.p/112`` (leaf hashes), ``tile/1/000`` and
``tile/1/001.p/17`` (the root of each full tile below), ``tile/2/000.p/1``; and the entries themselves, bundled as the
leaf hashes are, in ``tile/entries/000`` … ``tile/entries/273.p/112``.

See: https://c2sp.org/tlog-tiles.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from airflow_provider_atlas import merkle
from airflow_provider_atlas.encoding import parse_decimal
from airflow_provider_atlas.errors import MalformedError

FULL = 256
"""The hashes in a full tile, and the entries in a full bundle."""

ENTRIES = -1
"""The level of entry bundles, which lie below the leaf hashes."""

MAX_ENTRY_BYTES = 65_535
"""The largest entry that a bundle can spell."""

_HEIGHT = 8
_MAX_LEVEL = 63
_MAX_NUMBER_CHARACTERS = len("x999/x999/x999/x999/x999/x999/999")
_PATH = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """The name of a tile, or (at level ``ENTRIES``) of an entry bundle: which one, and how much of its 256 it holds."""

    level: int
    number: int
    width: int = FULL

    @classmethod
    def parse(cls, path: str) -> "Tile":
        """Return the tile that ``path``, relative to the log's prefix, names. Raises MalformedError for any other."""
        match = _PATH.match(path)
        if not match:
            raise MalformedError("expected the path of a tile")
        level, number, width = match.groups()
        tile = cls(
            level=ENTRIES if level == "entries" else int(level),
            number=_parse_number(number),
            width=parse_decimal(width) if width else FULL,
        )
        if tile.level > _MAX_LEVEL or tile.width > FULL or tile.path != path:
            raise MalformedError("expected the path of a tile in its one spelling")
        return tile

    @property
    def path(self) -> str:
        """The path of the tile, relative to the log's prefix."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = "" if self.is_full else f".p/{self.width}"
        return f"tile/{level}/{_spell_number(self.number)}{partial}"

    @property
    def is_full(self) -> bool:
        """Whether all 256 are there, so that the tile is never to be replaced by a wider one."""
        return self.width == FULL

    @property
    def full(self) -> "Tile":
        """The tile that this one grows into."""
        return Tile(level=self.level, number=self.number)


def tile_at(level: int, number: int, size: int) -> Tile:
    """Return tile ``number`` of ``level`` as it is in the tree of ``size`` entries, which must reach into it."""
    return Tile(level=level, number=number, width=min(FULL, _width(level, size) - FULL * number))


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield every tile and every entry bundle of the tree of ``size`` entries: bundles first, then level by level."""
    level = ENTRIES
    while hashes := _width(level, size):
        for number in range(-(-hashes // FULL)):
            yield tile_at(level, number, size)
        level += 1


def parse_hashes(data: bytes, tile: Tile) -> list[bytes]:
    """Return the hashes in ``data``, the content of ``tile``. Raises MalformedError unless it is as wide."""
    if len(data) != 32 * tile.width:
        raise MalformedError(f"expected {tile.width} hashes in {tile.path}")
    return [data[at : at + 32] for at in range(0, len(data), 32)]


def bundle(entries: Sequence[bytes]) -> bytes:
    """Return ``entries`` as a bundle spells them: each after its length, 16 bits, big-endian."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def parse_bundle(data: bytes, count: int) -> list[bytes]:
    """Return the ``count`` entries in ``data``, as ``bundle`` spells them. Raises MalformedError otherwise."""
    entries, at = [], 0
    for _ in range(count):
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if at > len(data) or start > len(data):
            raise MalformedError(f"expected a bundle of {count} whole entries")
        entries.append(data[start:at])
    if at != len(data):
        raise MalformedError(f"expected a bundle of {count} entries and nothing more")
    return entries


def narrowed(content: bytes, tile: Tile) -> bytes:
    """Return the content of the partial ``tile``, cut from ``content``, that of the full one. Raises MalformedError."""
    if tile.level == ENTRIES:
        return bundle(parse_bundle(content, FULL)[: tile.width])
    return b"".join(parse_hashes(content, tile.full)[: tile.width])


class TileTree:
    """The tree of ``size`` entries, read off its tiles; ``read`` returns the content of one.

    What it returns is no better than the tiles: whoever uses it compares a root, or checks a proof. Raises what
    ``read`` raises, and MalformedError for a tile of another width.
    """

    def __init__(self, size: int, read: Callable[[Tile], bytes]) -> None:
        self.size = size
        self._read = read
        self._tiles: dict[tuple[int, int], list[list[bytes]]] = {}

    def root(self) -> bytes:
        """Return the root of the tree."""
        return merkle.root(self.size, self.node)

    def inclusion_proof(self, index: int) -> tuple[bytes, ...]:
        """Return the proof that the leaf ``index`` is in the tree. Raises InclusionError when there is no such leaf."""
        return merkle.inclusion_proof(index, self.size, self.node)

    def consistency_proof(self, old: int) -> tuple[bytes, ...]:
        """Return the proof that the tree extends that of ``old`` entries. Raises ConsistencyError when it cannot."""
        return merkle.consistency_proof(old, self.size, self.node)

    def leaf(self, index: int) -> bytes:
        """Return the hash of the leaf ``index``, below ``size``."""
        return self.node(0, index)

    def node(self, height: int, position: int) -> bytes:
        """Return the hash of a complete subtree (``merkle.Node``)."""
        level, inner = divmod(height, _HEIGHT)
        number, at = divmod(position << inner, FULL)
        return self._heights(level, number, inner)[inner][at >> inner]

    def _heights(self, level: int, number: int, inner: int) -> list[list[bytes]]:
        """Return the hashes inside a tile, height by height, up to ``inner`` at least."""
        heights = self._tiles.get((level, number))
        if heights is None:
            tile = tile_at(level, number, self.size)
            heights = self._tiles[level, number] = [parse_hashes(self._read(tile), tile)]
        while len(heights) <= inner:
            below = heights[-1]
            heights.append([merkle.node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
        return heights


def _width(level: int, size: int) -> int:
    """Return how many hashes, or entries, there are at ``level`` of a tree of ``size`` entries."""
    return size >> _HEIGHT * max(level, 0)


def _spell_number(number: int) -> str:
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    return "/".join(reversed(groups))


def _parse_number(text: str) -> int:
    if len(text) > _MAX_NUMBER_CHARACTERS:
        raise MalformedError("expected the number of a tile of a tree of less than 2^63 entries")
    return int(text.replace("/", "").replace("x", ""))
