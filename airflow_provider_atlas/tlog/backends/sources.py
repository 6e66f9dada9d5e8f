"""Where the public files of a log are read from: a folder, a web server, a store. Nothing they say is believed here.

See: https://c2sp.org/tlog-tiles.
"""

import time
from pathlib import Path
from typing import Any, Protocol

from airflow_provider_atlas.errors import LogError, MissingError
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.backends.extras import extras_installed
from airflow_provider_atlas.tlog.backends.posix_tiles import TileFolder
from airflow_provider_atlas.tlog.note import MAX_NOTE_BYTES
from airflow_provider_atlas.tlog.tile import FULL, MAX_ENTRY_BYTES, Tile, narrowed

TIMEOUT_SECONDS = 20
"""How long a web server may take to begin, and to go on, with an answer."""

_WAITS = (0.2, 1.0, 3.0)  # seconds before each further attempt
_PASSING = {408, 429, 500, 502, 503, 504}
_MAX_BUNDLE_BYTES = FULL * (2 + MAX_ENTRY_BYTES)


class Source(Protocol):
    """The public files of one log; ``place`` is what people call it."""

    place: str

    def checkpoint(self) -> bytes | None:
        """Return the checkpoint, or None when there is none. Raises LogError when the log is away."""
        ...

    def read(self, tile: Tile) -> bytes:
        """Return the content of ``tile``; of a partial one that is gone, as the full one has it.

        Raises MissingError when neither is there, MalformedError when the full one cannot be read, and LogError when
        the log is away.
        """
        ...


class FolderSource:
    """The log in a folder."""

    def __init__(self, folder: Path) -> None:
        self.place = str(folder)
        self._tiles = TileFolder(self.place)

    def checkpoint(self) -> bytes | None:
        """Return the checkpoint (``Source.checkpoint``)."""
        with files.explained(self.place, "read"):
            return files.read(f"{self.place}/checkpoint")

    def read(self, tile: Tile) -> bytes:
        """Return the content of ``tile`` (``Source.read``)."""
        with files.explained(self.place, "read"):
            return self._tiles.read(tile)


class HttpSource:
    """The log below the URL ``prefix``, http or https."""

    def __init__(self, prefix: str) -> None:
        self.place = prefix.rstrip("/")
        self._session: Any = None  # of requests, which is slow to import

    def checkpoint(self) -> bytes | None:
        """Return the checkpoint (``Source.checkpoint``)."""
        return self._get("checkpoint", MAX_NOTE_BYTES)

    def read(self, tile: Tile) -> bytes:
        """Return the content of ``tile`` (``Source.read``)."""
        content = self._get(tile.path, _MAX_BUNDLE_BYTES)
        if content is not None:
            return content
        if tile.is_full:
            raise MissingError(f"{self.place}/{tile.path} is missing")
        return narrowed(self.read(tile.full), tile)

    def _get(self, path: str, limit: int) -> bytes | None:
        """Return what is at ``path``, or None when nothing is; what may pass is tried again."""
        url = f"{self.place}/{path}"
        trouble = ""
        for wait in (0.0, *_WAITS):
            time.sleep(wait)
            status, content = self._try(url, limit)
            if status == 200:
                return content
            if status in (404, 410):
                return None
            trouble = content.decode() if status == 0 else f"status {status}"
            if status and status not in _PASSING:
                break
        raise LogError(f"cannot read {url}: {trouble}")

    def _try(self, url: str, limit: int) -> tuple[int, bytes]:
        """Return the status and the body of one answer; status 0 and what went wrong, when there was none."""
        import requests

        self._session = self._session or requests.Session()
        try:
            with self._session.get(url, timeout=TIMEOUT_SECONDS, stream=True) as response:
                content = b""
                for chunk in response.iter_content(1 << 16):
                    content += chunk
                    if len(content) > limit:
                        return 0, b"it is larger than anything a log has there"
                return response.status_code, content
        except (requests.RequestException, OSError) as error:
            return 0, type(error).__name__.encode()


def open_source(place: str) -> Source:
    """Return the log at ``place``: the path of a folder, a URL, or the URI of an object store or of a database.

    Raises ConfigError for a URI that names neither, and for one that needs an extra that is not installed; LogError
    when an object store cannot be used.
    """
    if place.startswith(("http://", "https://")):
        return HttpSource(place)
    with extras_installed():
        if place.startswith("s3://"):
            from airflow_provider_atlas.tlog.backends.object_tiles import BucketSource

            return BucketSource(place)
        if place.startswith("postgresql://"):
            from airflow_provider_atlas.tlog.backends.postgres import DatabaseSource

            return DatabaseSource(place)
    return FolderSource(Path(place))
