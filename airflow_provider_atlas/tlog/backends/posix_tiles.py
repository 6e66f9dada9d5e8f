"""The public files of a log: its tiles and entry bundles in a folder, as a web server would serve them.

What is written once in 256 entries is on the disk before the log goes on: full tiles and bundles, and every tile above
the leaf hashes. The partial bundle and the partial tile of leaf hashes are not waited for: they are made again from the
journal when the machine comes back, by the first process that appends.
"""

import os
from collections.abc import Iterable

from airflow_provider_atlas.errors import MissingError
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.edge import TileContent
from airflow_provider_atlas.tlog.tile import Tile, narrowed


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
        return narrowed(self.read(tile.full), tile)

    def write(self, tiles: Iterable[TileContent]) -> None:
        """Write ``tiles``; when this returns, those that are not made again after a power failure are durable."""
        folders = set()
        for tile, content in tiles:
            path = f"{self._path}/{tile.path}"
            files.replace(path, content, self._spare, durable=_is_durable(tile))
            if _is_durable(tile):
                folders.add(os.path.dirname(path))
        for folder in folders:
            files.sync_folder(folder)

    def repair(self, tiles: Iterable[TileContent]) -> None:
        """Write those of ``tiles`` that are not there as they should be."""
        for tile, content in tiles:
            path = f"{self._path}/{tile.path}"
            if files.read(path) != content:
                self.write([TileContent(tile, content)])
            elif _is_durable(tile):  # it is there; but a process that died may not have waited for the disk
                files.sync(path)
                files.sync_folder(os.path.dirname(path))

    def collect(self, tiles: Iterable[TileContent]) -> None:
        """Remove the partial tiles that the full ones among ``tiles`` replace, as tlog-tiles allows."""
        for tile, _ in tiles:
            if tile.is_full:
                path = f"{self._path}/{tile.path}"
                files.remove_folder(f"{path}.p")
                files.sync_folder(os.path.dirname(path))  # or a power failure brings them back, and not as they were


def _is_durable(tile: Tile) -> bool:
    return tile.is_full or tile.level > 0
