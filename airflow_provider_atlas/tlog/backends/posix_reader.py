"""Reading a log in a folder, as anyone may: its checkpoint, entries and proofs, from its public files alone.

It reads every folder that follows tlog-tiles, whoever wrote it. See: https://c2sp.org/tlog-tiles.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_atlas.errors import ConsistencyError, MissingError
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.backends.posix_tiles import TileFolder
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.edge import Edge, TileContent
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.tile import ENTRIES, FULL, Tile, TileTree, parse_bundle, tile_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found right: the checkpoint, and how many tiles and entry bundles it stands on."""

    checkpoint: Checkpoint
    tiles: int


class PosixLogReader:
    """The log in ``folder``, whose checkpoints bear the name of ``key`` as their origin and are signed by it.

    Every method may raise LogError, when the folder cannot be read.
    """

    def __init__(self, folder: Path, key: VerifierKey) -> None:
        self._folder = str(folder)
        self._key = key
        self._tiles = TileFolder(self._folder)

    def latest(self) -> SignedCheckpoint | None:
        """Return the checkpoint that the log publishes, or None when it publishes none.

        Raises MalformedError or SignatureError when it is not one of this log.
        """
        with files.explained(self._folder, "read"):
            data = files.read(f"{self._folder}/checkpoint")
        if data is None:
            return None
        signed = SignedCheckpoint.parse(data)
        signed.verify(self._key.name, (self._key,))
        return signed

    def tile(self, tile: Tile) -> bytes:
        """Return the content of ``tile``, as a web server would serve it. Raises MissingError when it is not there."""
        with files.explained(self._folder, "read"):
            return self._tiles.read(tile)

    def tree(self, size: int) -> TileTree:
        """Return the tree of ``size`` entries, for proofs; it raises MissingError where the log has no tile of it."""
        return TileTree(size, self._tiles.read)

    def entries(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the entries ``[start, end)``; ``end`` is at most the size of the checkpoint.

        They are as the log serves them: ``audit`` tells whether they are what it signed. Raises MissingError when the
        log serves fewer, and MalformedError when a bundle cannot be read.
        """
        size = self._signed().checkpoint.size
        if not 0 <= start <= end <= size:
            raise MissingError(f"expected entries of the {size} that the log in {self._folder} has")
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
            raise ConsistencyError(f"the entries of the log in {self._folder} are not those that its checkpoint signs")
        return Audit(checkpoint=checkpoint, tiles=tiles)

    def _signed(self) -> SignedCheckpoint:
        signed = self.latest()
        if signed is None:
            raise MissingError(f"the log in {self._folder} has no checkpoint: append to it, or restore the file")
        return signed

    def _bundle(self, number: int, size: int) -> list[bytes]:
        tile = tile_at(ENTRIES, number, size)
        with files.explained(self._folder, "read"):
            return parse_bundle(self._tiles.read(tile), tile.width)

    def _compare(self, made: TileContent) -> None:
        with files.explained(self._folder, "read"):
            content = self._tiles.read(made.tile)
        if content != made.content:
            raise ConsistencyError(f"{self._folder}/{made.tile.path} is not what the entries of the log give")
