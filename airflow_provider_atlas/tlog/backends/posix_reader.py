"""Reading a log in a folder, as anyone may, from its public files alone. See: https://c2sp.org/tlog-tiles."""

from pathlib import Path

from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.backends.posix_tiles import TileFolder
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.reader import LogReader
from airflow_provider_atlas.tlog.tile import Tile


class PosixLogReader(LogReader):
    """The log in ``folder``, whoever wrote it, read as ``LogReader`` does."""

    def __init__(self, folder: Path, key: VerifierKey) -> None:
        tiles = TileFolder(str(folder))

        def checkpoint() -> bytes | None:
            with files.explained(str(folder), "read"):
                return files.read(f"{folder}/checkpoint")

        def tile(wanted: Tile) -> bytes:
            with files.explained(str(folder), "read"):
                return tiles.read(wanted)

        super().__init__(str(folder), key, checkpoint, tile)
