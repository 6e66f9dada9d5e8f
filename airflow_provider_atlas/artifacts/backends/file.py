"""Artifacts in files and directories of this machine: ``file://`` URIs.

Everything is looked at twice, before and after it is hashed, and must look the same: inode, size, and the times of
the last change of content and of the inode. What that cannot show: a write through a memory mapping that the kernel
has not noted yet, and, before Linux 6.13, one within the same tick of the clock (up to 10 ms) as the write before it.

A link at the URI itself is followed. Inside a directory, a link to a file inside it is recorded as that file; any
other is refused, since what it leads to could change without the directory, and so are pipes, sockets and devices.
"""

import errno
import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import FileIO
from typing import NamedTuple

from airflow_provider_atlas.artifacts.manifest import MAX_ENTRIES, Manifest, ManifestEntry
from airflow_provider_atlas.artifacts.store import Artifact
from airflow_provider_atlas.artifacts.uri import file_path
from airflow_provider_atlas.errors import CaptureError, MalformedError, MissingError

_SMALL_FILE = 256 * 1024
# Without O_NONBLOCK, a pipe that took the file's place would hold the task up for ever.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class FileStore:
    """An ArtifactStore of ``file://`` URIs, as ``artifact_uri`` spells them."""

    def describe(self, uri: str) -> Artifact:
        """Return what ``uri`` holds now: a file, or a directory with its manifest; its size is that of its files.

        Raises MissingError when nothing is there. Raises CaptureError when it cannot be read, changes while it is
        read, or is a directory that a manifest cannot describe.
        """
        try:
            path = file_path(uri).encode("utf-8", "surrogateescape")
            return _describe(uri, path)
        except MalformedError as error:
            raise CaptureError(f"{uri} cannot be captured: {error}") from error
        except OSError as error:
            raise CaptureError(f"{uri} cannot be read: {error.strerror}") from error


class _Identity(NamedTuple):
    """What changes with a file or directory: times are in nanoseconds."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> "_Identity":
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """All there is under ``root``, by path below it; a file alone is at the empty path.

    ``links`` leads to files inside.
    """

    root: bytes
    files: dict[bytes, _Identity] = field(default_factory=dict)
    directories: dict[bytes, _Identity] = field(default_factory=dict)
    links: dict[bytes, bytes] = field(default_factory=dict)

    def path(self, below: bytes) -> bytes:
        return os.path.join(self.root, below) if below else self.root


class _ChangedError(Exception):
    """The artifact is not what it was a moment ago."""


def _describe(uri: str, path: bytes) -> Artifact:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingError(f"nothing is at {uri}") from error
    try:
        snapshot = _look(path)
        digests = _hash_all(snapshot)
        _check_unchanged(path, snapshot)
        return _artifact(uri, snapshot, digests)
    except (_ChangedError, FileNotFoundError, NotADirectoryError) as error:
        raise CaptureError(
            f"{uri} changed while it was hashed: write it elsewhere and rename it into place when it is complete"
        ) from error


def _artifact(uri: str, snapshot: _Snapshot, digests: Mapping[bytes, str]) -> Artifact:
    if not snapshot.directories:
        return Artifact(uri=uri, sha256=digests[b""], size=snapshot.files[b""].size, kind="file")
    places = {**{path: path for path in snapshot.files}, **snapshot.links}
    manifest = Manifest.of(
        ManifestEntry(path=path.decode("utf-8"), sha256=digests[file], size=snapshot.files[file].size)
        for path, file in places.items()
    )
    return Artifact(uri=uri, sha256=manifest.sha256, size=manifest.size, kind="directory", manifest=manifest)


def _check_unchanged(path: bytes, snapshot: _Snapshot) -> None:
    try:
        again = _look(path)
    except CaptureError as error:  # what is refused now was not there before
        raise _ChangedError from error
    if again != snapshot:
        raise _ChangedError


def _look(path: bytes) -> _Snapshot:
    snapshot = _Snapshot(os.path.realpath(path, strict=True))
    status = os.lstat(snapshot.root)
    if stat.S_ISREG(status.st_mode):
        snapshot.files[b""] = _Identity.of(status)
    elif stat.S_ISDIR(status.st_mode):
        _walk(snapshot)
    else:
        raise CaptureError("expected a file or a directory, not a pipe, socket or device: " + _shown(path))
    return snapshot


def _walk(snapshot: _Snapshot) -> None:
    waiting = [b""]
    while waiting:
        below = waiting.pop()
        # A directory is noted before its names are, so that whatever happens to it from here on shows later.
        snapshot.directories[below] = _Identity.of(os.lstat(snapshot.path(below)))
        with os.scandir(snapshot.path(below)) as entries:
            for entry in entries:
                path = os.path.join(below, entry.name)
                _check_name(entry)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                else:
                    _note(snapshot, path, entry)
    if any(target not in snapshot.files for target in snapshot.links.values()):
        raise _ChangedError


def _note(snapshot: _Snapshot, below: bytes, entry: os.DirEntry[bytes]) -> None:
    if entry.is_symlink():
        snapshot.links[below] = _link_target(snapshot, entry.path)
    elif entry.is_file(follow_symlinks=False):
        snapshot.files[below] = _Identity.of(entry.stat(follow_symlinks=False))
    else:
        raise CaptureError("expected files and directories, not a pipe, socket or device: " + _shown(entry.path))
    if len(snapshot.files) + len(snapshot.links) > MAX_ENTRIES:
        raise CaptureError(f"expected a directory of at most {MAX_ENTRIES} files: declare parts of it, or an archive")


def _check_name(entry: os.DirEntry[bytes]) -> None:
    try:
        entry.name.decode("utf-8")
    except UnicodeDecodeError as error:
        shown = _shown(entry.path)
        raise CaptureError(f"expected a name in UTF-8, since a manifest is JSON: rename {shown}") from error


def _link_target(snapshot: _Snapshot, link: bytes) -> bytes:
    inside = snapshot.root.rstrip(b"/") + b"/"
    target = os.path.realpath(link)
    try:
        is_file = stat.S_ISREG(os.lstat(target).st_mode)
    except OSError:
        is_file = False
    if not (is_file and target.startswith(inside)):
        raise CaptureError("expected a symbolic link to a file inside the directory: " + _shown(link))
    return target.removeprefix(inside)


def _hash_all(snapshot: _Snapshot) -> Mapping[bytes, str]:
    # The largest last, since pop() takes from the end: a big file that is begun late would leave the others idle.
    waiting = deque(sorted(snapshot.files, key=lambda below: snapshot.files[below].size))
    digests: dict[bytes, str] = {}

    def work() -> None:
        try:
            while (below := _next(waiting)) is not None:
                digests[below] = _hash(snapshot.path(below), snapshot.files[below])
        except BaseException:
            waiting.clear()  # what is wrong with one file is wrong with the directory
            raise

    # Of a large file hashlib gives the interpreter's lock back while it hashes; for small ones threads only queue.
    large = sum(identity.size > _SMALL_FILE for identity in snapshot.files.values())
    _run(work, threads=min(os.cpu_count() or 1, large))
    return digests


def _next(waiting: deque[bytes]) -> bytes | None:
    try:
        return waiting.pop()
    except IndexError:
        return None


def _run(work: Callable[[], None], *, threads: int) -> None:
    if threads < 2:
        work()
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(work) for _ in range(threads)]:
            future.result()


def _hash(path: bytes, expected: _Identity) -> str:
    with open(_open(path), "rb", buffering=0) as file:
        if _Identity.of(os.fstat(file.fileno())) != expected:
            raise _ChangedError
        return _hash_small(file, expected) if expected.size <= _SMALL_FILE else _hash_large(file)


def _open(path: bytes) -> int:
    try:
        return os.open(path, _READ)
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link, where a file was
            raise _ChangedError from error
        raise


def _hash_small(file: FileIO, expected: _Identity) -> str:
    content = file.read()
    # A file of /proc says that it is empty, and is not.
    if len(content) != expected.size:
        raise _ChangedError
    return hashlib.sha256(content).hexdigest()


def _hash_large(file: FileIO) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _shown(path: bytes) -> str:
    return ascii(path.decode("utf-8", "surrogateescape"))
