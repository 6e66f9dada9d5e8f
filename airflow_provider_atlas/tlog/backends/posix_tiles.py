"""The public files of a log: its tiles and entry bundles in a folder, as a web server would serve them.

A full tile is on the disk before the log says so. A partial tile is not waited for: it is made again from the journal
when the machine comes back, by the first process that opens the log.
"""

import os
from collections.abc import Iterable

from airflow_provider_atlas.errors import MissingError
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.edge import TileContent
from airflow_provider_atlas.tlog.tile import ENTRIES, FULL, Tile, bundle, parse_bundle, parse_hashes


class TileFolder:
    """The tiles of the log in the folder ``path``. Who writes holds ``.state/tree-lock``; who reads needs no lock."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._spare = f"{path}/.state/spare"

    def read(self, tile: Tile) -> bytes:
        """Return the content of ``tile``; of a partial one that is gone, as the full one has it.

        Raises MissingError when neither is there, and MalformedError when the full one cannot be read.
        """
        content = files.read(f"{self._path}/{tile.path}")
        if content is not None:
            return content
        if tile.is_full:
            raise MissingError(f"{self._path}/{tile.path} is missing")
        content = self.read(tile.full)
        if tile.level == ENTRIES:
            return bundle(parse_bundle(content, FULL)[: tile.width])
        return b"".join(parse_hashes(content, tile.full)[: tile.width])

    def write(self, tiles: Iterable[TileContent]) -> None:
        """Write ``tiles``; when this returns, the full ones among them are durable."""
        folders = set()
        for tile, content in tiles:
            path = f"{self._path}/{tile.path}"
            files.replace(path, content, self._spare, durable=tile.is_full)
            if tile.is_full:
                folders.add(os.path.dirname(path))
        for folder in folders:
            files.sync_folder(folder)

    def repair(self, tiles: Iterable[TileContent]) -> None:
        """Write those of ``tiles`` that are not there as they should be."""
        for made in tiles:
            if files.read(f"{self._path}/{made.tile.path}") != made.content:
                self.write([made])

    def collect(self, tiles: Iterable[TileContent]) -> None:
        """Remove the partial tiles that the full ones among ``tiles`` replace, as tlog-tiles allows."""
        for tile, _ in tiles:
            if tile.is_full:
                files.remove_folder(f"{self._path}/{tile.path}.p")
