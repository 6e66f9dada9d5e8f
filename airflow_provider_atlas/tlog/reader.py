"""Reading a log, as anyone may: its checkpoint, entries and proofs, from what it publishes alone.

It reads every log that follows tlog-tiles, whoever wrote it. See: https://c2sp.org/tlog-tiles.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from airflow_provider_atlas.errors import ConsistencyError, MissingError
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.edge import Edge, TileContent
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.tile import ENTRIES, FULL, Tile, TileTree, parse_bundle, tile_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found right: the checkpoint, and how many tiles and entry bundles it stands on."""

    checkpoint: Checkpoint
    tiles: int


class LogReader:
    """The log at ``place``, whose checkpoints bear the name of ``key`` as their origin and are signed by it.

    ``checkpoint`` returns what the log publishes as its checkpoint, or None; ``tile`` the content of a tile, or raises
    MissingError. Every method may raise LogError, when the log cannot be read.
    """

    def __init__(
        self, place: str, key: VerifierKey, checkpoint: Callable[[], bytes | None], tile: Callable[[Tile], bytes]
    ) -> None:
        self._place = place
        self._key = key
        self._checkpoint = checkpoint
        self._tile = tile

    def latest(self) -> SignedCheckpoint | None:
        """Return the checkpoint that the log publishes, or None when it publishes none.

        Raises MalformedError or SignatureError when it is not one of this log.
        """
        data = self._checkpoint()
        if data is None:
            return None
        signed = SignedCheckpoint.parse(data)
        signed.verify(self._key.name, (self._key,))
        return signed

    def tile(self, tile: Tile) -> bytes:
        """Return the content of ``tile``, as a web server would serve it. Raises MissingError when it is not there."""
        return self._tile(tile)

    def tree(self, size: int) -> TileTree:
        """Return the tree of ``size`` entries, for proofs; it raises MissingError where the log has no tile of it."""
        return TileTree(size, self._tile)

    def entries(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the entries ``[start, end)``; ``end`` is at most the size of the checkpoint.

        They are as the log serves them: ``audit`` tells whether they are what it signed. Raises MissingError when the
        log serves fewer, and MalformedError when a bundle cannot be read.
        """
        size = self._signed().checkpoint.size
        if not 0 <= start <= end <= size:
            raise MissingError(f"expected entries of the {size} that the log in {self._place} has")
        for number in range(start // FULL, -(-end // FULL)):
            first = number * FULL
            yield from self._bundle(number, size)[max(start - first, 0) : end - first]

    def audit(self) -> Audit:
        """Make every tile again from the entries, and return what was found right.

        Raises SignatureError when the checkpoint is not signed by the log's key, ConsistencyError when a tile or the
        root is not what the entries give, MissingError and MalformedError when a file is not there or cannot be read.
        """
        checkpoint = self._signed().checkpoint
        edge, tiles = Edge(), 0
        for number in range(-(-checkpoint.size // FULL)):
            for made in edge.extend(self._bundle(number, checkpoint.size)):
                self._compare(made)
                tiles += 1
        for made in edge.partials():
            self._compare(made)
            tiles += 1
        if edge.root() != checkpoint.root:
            raise ConsistencyError(f"the entries of the log in {self._place} are not those that its checkpoint signs")
        return Audit(checkpoint=checkpoint, tiles=tiles)

    def _signed(self) -> SignedCheckpoint:
        signed = self.latest()
        if signed is None:
            raise MissingError(f"the log in {self._place} has no checkpoint: append to it, or restore the file")
        return signed

    def _bundle(self, number: int, size: int) -> list[bytes]:
        tile = tile_at(ENTRIES, number, size)
        return parse_bundle(self._tile(tile), tile.width)

    def _compare(self, made: TileContent) -> None:
        if self._tile(made.tile) != made.content:
            raise ConsistencyError(f"{self._place}/{made.tile.path} is not what the entries of the log give")
