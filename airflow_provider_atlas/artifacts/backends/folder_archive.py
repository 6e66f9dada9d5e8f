"""The archive in a folder: local, or on a network file system that has hard links and keeps its word about fsync.

A record is ``<root>/<segment>/…/<segment>``. Nothing inside the folder is read through a symbolic link, since the
folder may come from a stranger; names that no archive writes are not listed.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from airflow_provider_atlas.artifacts.archive import MAX_RECORD, is_segment
from airflow_provider_atlas.artifacts.backends import durable
from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import ArchiveError, MalformedError, MissingError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, a pipe in a stranger's folder would hold the reader up for ever.
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class FolderArchive:
    """An Archive in the folder ``root``, which is made when the first record is kept."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = os.path.abspath(root)
        self._read_only = False
        self._made: set[str] = set()

    @classmethod
    def at(cls, folder: str | os.PathLike[str]) -> "FolderArchive":
        """Return what is kept in ``folder``, a run's or any other, to be read alone; ``()`` is the folder itself.

        Raises MissingError when there is no such folder.
        """
        if not os.path.isdir(folder):
            raise MissingError(f"expected a folder at {os.fspath(folder)}")
        archive = cls(folder)
        archive._read_only = True
        return archive

    def put(self, path: Sequence[str], content: bytes, *, private: bool = False) -> None:
        """Keep ``content`` at ``path``, readable by all, or when ``private`` by its owner alone. See ``Archive``."""
        place = self._place(path)
        if self._read_only or not path:
            raise ArchiveError(f"expected a record to be kept below an archive open for writing, not at {place}")
        if len(content) > MAX_RECORD:
            raise ArchiveError(f"expected a record of at most {MAX_RECORD} bytes for {place}")
        try:
            if not self._holds(path, content):
                self._make_folder(os.path.dirname(place))
                self._create(path, content, 0o600 if private else 0o644)
        except OSError as error:
            raise ArchiveError(f"{place} could not be kept: {durable.explain(error)}") from error

    def get(self, path: Sequence[str]) -> bytes:
        """Return what is kept at ``path``. See ``Archive``."""
        content, _ = self._read(path)
        return content

    def list(self, path: Sequence[str]) -> Sequence[str]:
        """Return the segments kept directly under ``path``, sorted. See ``Archive``."""
        place = self._place(path)
        try:
            with self._opened(path, _FOLDER) as descriptor:
                return sorted(filter(is_segment, os.listdir(descriptor)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise ArchiveError(f"{place} could not be read: {error.strerror}") from error

    def put_blob(self, content: bytes) -> str:
        """Keep ``content`` at ``blobs/sha256/<hex>`` and return its digest. See ``Archive``."""
        digest = sha256_hex(content)
        self.put(("blobs", "sha256", digest), content)
        return digest

    def _place(self, path: Sequence[str]) -> str:
        if isinstance(path, str) or not all(map(is_segment, path)):
            raise ArchiveError("expected the path of a record to be made of segments, as path_segment gives them")
        return os.path.join(self._root, *path)

    def _make_folder(self, folder: str) -> None:
        if folder not in self._made or not os.path.isdir(folder):
            durable.make_folder(folder, top=self._root, mode=0o755)
            self._made.add(folder)

    def _create(self, path: Sequence[str], content: bytes, mode: int) -> None:
        try:
            durable.create(self._place(path), content, mode=mode)
        except FileExistsError:
            if not self._holds(path, content):
                raise

    def _holds(self, path: Sequence[str], content: bytes) -> bool:
        """Return whether ``content`` is kept at ``path``, for good. Raises ArchiveError when something else is."""
        try:
            kept, names = self._read(path)
        except MissingError:
            return False
        if kept != content:
            raise ArchiveError(f"expected nothing else at {self._place(path)}: a record is never replaced")
        if names > 1:
            # Whoever is putting it, or crashed while it did, has not seen its name on disk.
            durable.sync_folder(os.path.dirname(self._place(path)))
        return True

    def _read(self, path: Sequence[str]) -> tuple[bytes, int]:
        """Return what is kept at ``path``, and how many names the file has."""
        place = self._place(path)
        try:
            with self._opened(path, _FILE) as descriptor:
                return _content(descriptor, place), os.fstat(descriptor).st_nlink
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingError(f"nothing is kept at {place}") from error
        except OSError as error:
            raise ArchiveError(f"{place} could not be read: {error.strerror}") from error

    @contextmanager
    def _opened(self, path: Sequence[str], how: int) -> Iterator[int]:
        """Open what is at ``path``, each segment in the folder before it, so that no link leads elsewhere."""
        with ExitStack() as stack:
            # The root itself is the reader's choice, and may well be a link.
            descriptor = os.open(self._root, _FOLDER & ~os.O_NOFOLLOW)
            stack.callback(os.close, descriptor)
            for position, segment in enumerate(path, start=1):
                descriptor = _open_segment(segment, how if position == len(path) else _FOLDER, descriptor)
                stack.callback(os.close, descriptor)
            yield descriptor


def _open_segment(segment: str, how: int, folder: int) -> int:
    try:
        return os.open(segment, how, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
            _check_plain(segment, folder)
        raise


def _check_plain(segment: str, folder: int) -> None:
    mode = os.stat(segment, dir_fd=folder, follow_symlinks=False).st_mode
    if not stat.S_ISREG(mode):
        raise MalformedError(f"expected {segment} in an archive to be a file or a folder, not a link or a device")


def _content(descriptor: int, place: str) -> bytes:
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise MissingError(f"expected a record at {place}, not a folder")
    if not stat.S_ISREG(status.st_mode):
        raise MalformedError(f"expected a record at {place}, not a pipe or a device")
    if status.st_size > MAX_RECORD:
        raise MalformedError(f"expected a record of at most {MAX_RECORD} bytes at {place}")
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(status.st_size)
