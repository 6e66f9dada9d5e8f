"""Files that survive ``kill -9`` and power loss: there whole, or not there at all.

A file is written under a name of its own that begins with a dot, and only then gets the name it is read by. What a
crash can leave behind is therefore one hidden file that nobody reads.

All functions raise OSError.
"""

import errno
import os
import secrets
from contextlib import suppress

_TEMPORARY = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def create(path: str, content: bytes, *, mode: int) -> None:
    """Make the file ``path`` of ``content`` with the permissions ``mode``. Raises FileExistsError when it is there.

    A file has two names until its own is on disk: one that has one name is there for good, whoever made it.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(8)}")
    try:
        _write(temporary, content, mode)
        # link() and not rename(), which would replace what another process has put there meanwhile.
        os.link(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    # When this fails, both names stay, and the next attempt sees by them that there is something left to do.
    sync_folder(folder)
    os.unlink(temporary)


def make_folder(path: str, *, top: str, mode: int) -> None:
    """Make the folder ``path``, and those above it down from ``top`` or the root, with the permissions ``mode``.

    Whoever makes a folder has the names above it on disk first. So one that is there already can have lost nothing
    but its own name, and to sync its parent is enough; ``top``, when it is there, is the operator's business.
    """
    if os.path.isdir(path):
        if path == top:
            return
    else:
        make_folder(os.path.dirname(path), top=top, mode=mode)
        with suppress(FileExistsError):
            os.mkdir(path, mode)
            os.chmod(path, mode)  # whatever the umask
    sync_folder(os.path.dirname(path))


def sync_folder(path: str) -> None:
    """Bring the names in the folder ``path`` to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def explain(error: OSError) -> str:
    """Return why a file could not be written, and what to do, as the end of a sentence."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "its disk, or its owner's share of it, is full: make room there"
        case errno.EROFS:
            return "its file system is mounted read-only: mount it for writing, or choose another"
        case errno.EACCES:
            return f"user {os.geteuid()} may not write there: change its owner, or its permissions"
        case errno.EPERM | errno.ENOTSUP:
            return "its file system forbids it, or has no hard links, by which nothing is replaced: choose another"
        case _:
            return (error.strerror or "of an unknown error").lower()


def _write(path: str, content: bytes, mode: int) -> None:
    with open(os.open(path, _TEMPORARY, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)  # whatever the umask
        file.write(content)
        file.flush()
        # Before it gets its name: else a power loss could leave the name, and nothing in the file.
        os.fsync(file.fileno())
