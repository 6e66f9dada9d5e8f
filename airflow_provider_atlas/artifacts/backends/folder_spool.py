"""A spool in a folder of this worker: one private file a record, in place of the last state of the same record."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_atlas.errors import ArchiveError, MissingError

_SUFFIX = ".record"


class FolderSpool:
    """A ``Spool`` in ``folder``, made at first use with mode 0700: what is in it is not redacted for strangers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, content: bytes) -> None:
        """Keep ``content`` as ``name`` (lower-case hex), durably. Raises ArchiveError."""
        with self._explained("write to"):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self._folder)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # A crash before this line leaves a temporary file that is never read; after it, the whole record.
            Path(temporary).replace(self._path(name))
            self._sync()

    def names(self) -> Sequence[str]:
        """Return the names of what is kept, oldest first. Raises ArchiveError."""
        with self._explained("read"):
            if not self._folder.is_dir():
                return []  # nothing was ever spooled
            files = [entry for entry in os.scandir(self._folder) if entry.name.endswith(_SUFFIX)]
            ages = {entry.name: entry.stat().st_mtime_ns for entry in files}
            return [name.removesuffix(_SUFFIX) for name in sorted(ages, key=lambda name: (ages[name], name))]

    def get(self, name: str) -> bytes:
        """Return what is kept as ``name``. Raises MissingError when it is gone, ArchiveError when unreadable."""
        with self._explained("read"):
            return self._path(name).read_bytes()

    def discard(self, name: str) -> None:
        """Forget ``name``. Raises ArchiveError."""
        with self._explained("write to"):
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"

    def _sync(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise MissingError("the record is no longer in the spool: another process finished it") from error
        except OSError as error:
            raise ArchiveError(f"cannot {doing} the spool {self._folder}: {error.strerror}") from error
