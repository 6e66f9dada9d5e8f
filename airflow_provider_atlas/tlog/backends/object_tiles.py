"""What is derived from the commits of a log in an object store: tiles, bundles, and the index of leaf hashes.

All of it is put if absent. Whoever derives it comes to the same bytes, so an object that is there already must have
them; one that does not was put by somebody else, and readers may have believed it.
"""

import threading
from collections.abc import Iterable, Mapping

from airflow_provider_atlas.encoding import parse_decimal
from airflow_provider_atlas.errors import ConsistencyError, MalformedError, MissingError
from airflow_provider_atlas.tlog.backends.object_bucket import Bucket
from airflow_provider_atlas.tlog.edge import TileContent
from airflow_provider_atlas.tlog.tile import ENTRIES, Tile, narrowed

_FOREVER = "public, max-age=31536000, immutable"
_CACHED_TILES = 64
"""Full tiles of hashes that are kept in memory, 8 KiB each."""


class TileObjects:
    """The tiles and the leaf index in ``bucket``. Raises LogError when the store is away."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._cached: dict[Tile, bytes] = {}
        self._lock = threading.Lock()

    def read(self, tile: Tile) -> bytes:
        """Return the content of ``tile``; of a partial one that is gone, as the full one has it.

        Raises MissingError when neither is there, and MalformedError when the full one cannot be read.
        """
        cached = self._cached.get(tile)
        if cached is not None:
            return cached
        found = self._bucket.get(tile.path)
        if found:
            self._keep(tile, found.content)
            return found.content
        if tile.is_full:
            raise MissingError(f"{tile.path} is missing from the log in {self._bucket.uri}")
        return narrowed(self.read(tile.full), tile)

    def put(self, tiles: Iterable[TileContent], leaves: Mapping[bytes, int]) -> None:
        """Put ``tiles``, and note the index of each leaf hash in ``leaves``.

        Raises ConsistencyError when something is there and says something else.
        """
        noted = [(_index_path(leaf), str(index).encode(), "no-cache") for leaf, index in leaves.items()]
        made = [(tile.path, content, _FOREVER) for tile, content in tiles]
        self._bucket.each(lambda each: self._put(*each), [*made, *noted])

    def find(self, leaves: Iterable[bytes]) -> dict[bytes, int]:
        """Return the index that is noted for each of the leaf hashes ``leaves``; for some, none is."""
        wanted = list(leaves)
        return {
            leaf: at for leaf, at in zip(wanted, self._bucket.each(self._find, wanted), strict=True) if at is not None
        }

    def collect(self, filled: Iterable[TileContent]) -> None:
        """Remove the partial tiles that the full ones in ``filled`` replace, as tlog-tiles allows."""
        for made in filled:
            for paths in self._bucket.names(f"{made.tile.path}.p"):
                self._bucket.remove(paths)

    def _put(self, path: str, content: bytes, cache: str) -> None:
        if self._bucket.create(path, content, cache=cache) is None:
            found = self._bucket.get(path)
            if found is None:  # its put failed after all, or the full tile has replaced it by now
                found = self._bucket.get(path) if self._bucket.create(path, content, cache=cache) is None else None
            if found and found.content != content:
                raise ConsistencyError(f"{path} in {self._bucket.uri} is not what the commits of the log give")

    def _find(self, leaf: bytes) -> int | None:
        found = self._bucket.get(_index_path(leaf))
        try:
            return parse_decimal(found.content.decode("ascii")) if found else None
        except (MalformedError, UnicodeDecodeError) as error:
            raise ConsistencyError(f"{_index_path(leaf)} in {self._bucket.uri} holds no index: remove it") from error

    def _keep(self, tile: Tile, content: bytes) -> None:
        if not tile.is_full or tile.level == ENTRIES:
            return
        with self._lock:  # witnesses are asked from threads, which read for their proofs
            while len(self._cached) >= _CACHED_TILES:
                self._cached.pop(next(iter(self._cached)))
            self._cached[tile] = content


class BucketSource:
    """The log at ``uri`` (as ``Bucket`` has it), whoever wrote it, as its readers see it (``Source``)."""

    def __init__(self, uri: str) -> None:
        self.place = uri.partition("?")[0]
        self._bucket = Bucket(uri)
        self._tiles = TileObjects(self._bucket)

    def checkpoint(self) -> bytes | None:
        """Return the checkpoint (``Source.checkpoint``)."""
        found = self._bucket.get("checkpoint")
        return found.content if found else None

    def read(self, tile: Tile) -> bytes:
        """Return the content of ``tile`` (``Source.read``)."""
        return self._tiles.read(tile)


def _index_path(leaf: bytes) -> str:
    return f"state/index/{leaf[:1].hex()}/{leaf.hex()}"
