"""Reading a log, as anyone may: its checkpoint, entries and proofs, from its public files alone.

It reads every log that follows tlog-tiles, whoever wrote it. See: https://c2sp.org/tlog-tiles.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import ConsistencyError, MissingError
from airflow_provider_atlas.tlog.backends.sources import Source
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.edge import Edge, TileContent
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.tile import ENTRIES, FULL, Tile, TileTree, parse_bundle, parse_hashes, tile_at

Progress = Callable[[int, int], None]
"""``progress(done, all)`` is called as work goes on, in entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found right: the checkpoint, and how many tiles and entry bundles it stands on."""

    checkpoint: Checkpoint
    tiles: int


class LogReader:
    """The log at ``source``, whose checkpoints bear the name of ``key`` as their origin and are signed by it.

    Every method may raise LogError, when the log is away.
    """

    def __init__(self, source: Source, key: VerifierKey) -> None:
        self._source = source
        self._key = key

    def latest(self) -> SignedCheckpoint | None:
        """Return the checkpoint that the log publishes, or None when it publishes none.

        Raises MalformedError or SignatureError when it is not one of this log.
        """
        data = self._source.checkpoint()
        if data is None:
            return None
        signed = SignedCheckpoint.parse(data)
        signed.verify(self._key.name, (self._key,))
        return signed

    def tile(self, tile: Tile) -> bytes:
        """Return the content of ``tile``, as the log serves it. Raises MissingError when it is not there."""
        return self._source.read(tile)

    def tree(self, size: int) -> TileTree:
        """Return the tree of ``size`` entries, for proofs; it raises MissingError where the log has no tile of it."""
        return TileTree(size, self._source.read)

    def entries(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the entries ``[start, end)``; ``end`` is at most the size of the checkpoint.

        They are as the log serves them: ``audit`` tells whether they are what it signed. Raises MissingError when the
        log serves fewer, and MalformedError when a bundle cannot be read.
        """
        size = self._signed().checkpoint.size
        if not 0 <= start <= end <= size:
            raise MissingError(f"expected entries of the {size} that the log at {self._source.place} has")
        for number in range(start // FULL, -(-end // FULL)):
            first = number * FULL
            yield from self._bundle(number, size)[max(start - first, 0) : end - first]

    def find(self, entry: bytes, progress: Progress | None = None) -> int:
        """Return the first index of ``entry``, as the tiles have it. Raises MissingError when it is not there."""
        size, leaf = self._signed().checkpoint.size, merkle.leaf_hash(entry)
        for number in range(-(-size // FULL)):
            tile = tile_at(0, number, size)
            hashes = parse_hashes(self._source.read(tile), tile)
            if leaf in hashes:
                return number * FULL + hashes.index(leaf)
            if progress:
                progress(number * FULL + tile.width, size)
        raise MissingError(f"the log at {self._source.place} has no such entry among its {size}")

    def receipt(self, index: int) -> Receipt:
        """Return a receipt of the entry ``index`` under the newest checkpoint, once it is found to hold.

        Raises InclusionError when the log has no such entry, or its tiles do not lead to its checkpoint.
        """
        checkpoint, note = self._signed()
        tree = self.tree(checkpoint.size)
        hashes = tree.inclusion_proof(index)
        merkle.check_inclusion(index, checkpoint.size, tree.leaf(index), hashes, checkpoint.root)
        return Receipt(index=index, hashes=hashes, note=note)

    def audit(self, progress: Progress | None = None) -> Audit:
        """Make every tile again from the entries, and return what was found right. It never holds more than an edge.

        Raises SignatureError when the checkpoint is not signed by the log's key, ConsistencyError when a tile or the
        root is not what the entries give, MissingError and MalformedError when a file is not there or cannot be read.
        """
        checkpoint = self._signed().checkpoint
        edge, tiles = Edge(), 0
        for number in range(-(-checkpoint.size // FULL)):
            for made in edge.extend(self._bundle(number, checkpoint.size)):
                self._compare(made)
                tiles += 1
            if progress:
                progress(edge.size, checkpoint.size)
        for made in edge.partials():
            self._compare(made)
            tiles += 1
        if edge.root() != checkpoint.root:
            raise ConsistencyError(f"the log at {self._source.place} has other entries than its checkpoint signs")
        return Audit(checkpoint=checkpoint, tiles=tiles)

    def _signed(self) -> SignedCheckpoint:
        signed = self.latest()
        if signed is None:
            raise MissingError(f"the log at {self._source.place} has no checkpoint: append to it, or restore the file")
        return signed

    def _bundle(self, number: int, size: int) -> list[bytes]:
        tile = tile_at(ENTRIES, number, size)
        return parse_bundle(self._source.read(tile), tile.width)

    def _compare(self, made: TileContent) -> None:
        if self._source.read(made.tile) != made.content:
            raise ConsistencyError(f"{self._source.place}/{made.tile.path} is not what the entries of the log give")
