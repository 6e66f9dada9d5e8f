"""What a log in a folder asks of the file system: locks, replacement in one step, durability, errors that help."""

import errno
import fcntl
import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from airflow_provider_atlas.errors import ConfigError, LogError

PUBLIC = 0o644
"""The mode of what a web server serves, whatever the umask of the task that writes it."""

PRIVATE = 0o600
"""The mode of what only the log itself reads."""

MOUNTS = "/proc/self/mountinfo"
"""Where Linux tells what is mounted."""

_ADVICE = {
    errno.ENOSPC: "make room on its disk and append again",
    errno.EDQUOT: "raise the quota of its disk and append again",
    errno.EFBIG: "raise the limit on file sizes and append again",
    errno.EACCES: "let this user write to it",
    errno.EPERM: "let this user write to it",
    errno.EROFS: "mount it for writing, or name another folder",
    errno.EIO: "check its disk, then audit the log",
}
_NETWORK = ("nfs", "cifs", "smb", "afs", "ceph", "lustre", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.glusterfs")
"""File systems whose locks and caches other machines share, or do not: two of them would fork the log."""


@contextmanager
def explained(folder: str, doing: str) -> Iterator[None]:
    """Turn an error of the operating system into one LogError that tells the operator what to do about ``folder``."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "check the folder and its disk")
        raise LogError(f"cannot {doing} the log in {folder} ({error.strerror}): {advice}") from error


@contextmanager
def lock_file(path: str) -> Iterator[int]:
    """Open the lock file ``path``, made if it is not there, and yield its descriptor; nothing is held by that."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold the lock file ``path``, against every other thread and process of this machine, until the block ends."""
    with lock_file(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Closing is not enough: a process that was forked meanwhile has the descriptor too, and keeps the lock.
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def read(path: str) -> bytes | None:
    """Return what is in the file ``path``, or None when there is no such file."""
    return read_from(path, 0)


def read_from(path: str, offset: int, limit: int | None = None) -> bytes | None:
    """Return what is in the file ``path`` from ``offset`` on, ``limit`` bytes at most, or None when it is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        parts = []
        wanted = os.fstat(descriptor).st_size - offset if limit is None else limit
        while wanted > 0 and (part := os.pread(descriptor, wanted, offset)):
            parts.append(part)
            offset, wanted = offset + len(part), wanted - len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def write(descriptor: int, content: bytes, offset: int) -> None:
    """Write all of ``content`` at ``offset``, however little the system takes at a time."""
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def replace(path: str, content: bytes, spare: str, *, mode: int = PUBLIC, durable: bool = False) -> None:
    """Make ``path`` hold ``content``, in one step for every reader; ``spare`` is a scratch path only the caller uses.

    With ``durable`` the content is on the disk before the name is; the name is once its folder is synced too.
    """
    descriptor = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.fchmod(descriptor, mode)
        write(descriptor, content, 0)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.rename(spare, path)
    except FileNotFoundError:
        make_folders(os.path.dirname(path))
        os.rename(spare, path)


def overwrite(path: str, content: bytes) -> None:
    """Make the private file ``path`` hold ``content``, which mostly is as long as what it holds.

    There is no new file and no new name, which is several times faster; but a reader without a lock may see a mixture.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, PRIVATE)
    try:
        write(descriptor, content, 0)
        if os.fstat(descriptor).st_size > len(content):
            os.ftruncate(descriptor, len(content))
    finally:
        os.close(descriptor)


def make_folders(path: str) -> None:
    """Make the folder ``path``, readable for everybody, and those above it; their names are durable at once."""
    try:
        os.mkdir(path)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_folders(os.path.dirname(path))
        os.mkdir(path)
    os.chmod(path, 0o755)  # noqa: S103 - tiles are public, whatever the umask of the task that writes them
    sync_folder(os.path.dirname(path))


def remove_folder(path: str) -> None:
    """Remove the folder ``path`` and the files in it, if it is there."""
    with suppress(FileNotFoundError):
        for name in os.listdir(path):
            os.unlink(f"{path}/{name}")
        os.rmdir(path)


def sync(path: str) -> None:
    """Return when what was written to the file ``path``, by whomever, is on the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: str) -> None:
    """Return when the names in the folder ``path`` are on the disk."""
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@functools.cache
def boot_id() -> str:
    """Return what tells this boot of the machine from every other.

    Only Linux tells. Elsewhere all boots look the same, so that after a power failure torn tiles are found when a root
    or a proof does not hold, and not before.
    """
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        return file.read().strip()
    return "unknown"


def refuse_network(folder: str) -> None:
    """Raise ConfigError when ``folder`` is on a file system that other machines share."""
    kind = _kind(os.path.realpath(folder))
    if kind.startswith(_NETWORK):
        raise ConfigError(
            f"{folder} is on {kind}, which machines share: keep it on a disk of one machine; or, where one machine"
            " alone writes to it, set [atlas] allow_network_log = true"
        )


def _kind(path: str) -> str:
    """Return the type of the file system that holds ``path``, or nothing where the system does not tell."""
    mounts: dict[str, str] = {}
    with suppress(OSError), open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            mounts[before.split(" ")[4]] = after.split(" ", 1)[0]
    while path not in mounts and path != "/":
        path = os.path.dirname(path)
    return mounts.get(path, "")
