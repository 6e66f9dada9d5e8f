"""A FUSE file system that shows an emulated configfs-tsm as Linux shows its own.

Of configfs it keeps what users trip over: modes are enforced for root too; a file that was read cannot be written, nor
the other way round; ``inblob`` is taken when it is closed, and nobody is told if it was not. ``tsm_tree`` says which
files there are. Writing EBUSY, EIO …, or seconds to the file ``faults`` is how a test says what the next reports meet.
See: Linux, fs/configfs/file.c, fs/configfs/dir.c and fs/configfs/inode.c.
"""

import errno
import math
import os
import stat
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.tee.backends.tsm_emulation import INBLOB_MAX, Driver, Registers, TsmEmulation
from airflow_provider_atlas.tee.backends.tsm_tree import REPORT, Node, TreePath, TsmTree

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Open:
    """An open file. ``content`` is what was read or written so far."""

    node: Node
    name: str
    content: bytes = b""
    is_read: bool = False
    is_written: bool = False
    is_taken: bool = True


class TsmFiles:
    """The operations that FUSE asks for, on the files of ``tsm``. Errors are OSError, with Linux's numbers."""

    use_ns = True

    def __init__(self, tsm: TsmEmulation, ready: Callable[[], None]) -> None:
        """Show ``tsm``; ``ready`` is called once it is mounted."""
        self._tsm = tsm
        self._tree = TsmTree(tsm)
        self._ready = ready
        self._files: dict[int, _Open] = {}
        self._next = 0
        self._mutex = threading.Lock()
        self._since = time.time_ns()

    def init(self, _: str) -> None:
        """Tell that the file system is there."""
        self._ready()

    def getattr(self, path: str, _: int | None = None) -> Mapping[str, int]:
        """Return the status of ``path``."""
        node = self._tree.node(_parts(path))
        times = dict.fromkeys(("st_ctime", "st_mtime", "st_atime"), self._since)
        links = 2 if stat.S_ISDIR(node.mode) else 1
        own = {"st_mode": node.mode, "st_nlink": links, "st_size": node.size, "st_uid": node.uid, "st_gid": node.gid}
        return {**times, **own}

    def readdir(self, path: str, _: int) -> Sequence[str]:
        """Return the names in the folder ``path``."""
        return [".", "..", *self._tree.names(_parts(path))]

    def mkdir(self, path: str, _: int) -> None:
        """Make a request: the only thing that can be made."""
        self._tsm.make(_request_name(path))

    def rmdir(self, path: str) -> None:
        """Remove a request, its files with it."""
        self._tsm.remove(_request_name(path))
        self._tree.forget(_parts(path))

    def create(self, *_: object) -> int:
        """Refuse to make a file."""
        raise OSError(errno.EACCES, "no files are made here")

    def unlink(self, _: str) -> None:
        """Refuse to remove a file."""
        raise OSError(errno.EPERM, "a file is removed with its folder")

    def rename(self, *_: str) -> None:
        """Refuse to rename."""
        raise OSError(errno.EPERM, "nothing is renamed here")

    def truncate(self, path: str, *_: object) -> None:
        """Do nothing, as configfs: its files have no length."""
        self._tree.node(_parts(path))

    def chmod(self, path: str, mode: int) -> None:
        """Change the mode of what is there; what is made later has its own."""
        kept = stat.S_IFMT(self._tree.node(_parts(path)).mode)
        self._tree.change(_parts(path), mode=kept | stat.S_IMODE(mode))

    def chown(self, path: str, uid: int, gid: int) -> None:
        """Change the owner of what is there; what is made later is root's."""
        owner = {name: value for name, value in (("uid", uid), ("gid", gid)) if value >= 0}
        self._tree.change(_parts(path), **owner)

    def open(self, path: str, flags: int) -> int:
        """Open ``path``, when its mode has the bits for it: root's rights do not help."""
        parts = _parts(path)
        node, access = self._tree.node(parts), flags & os.O_ACCMODE
        if access != os.O_RDONLY and not node.mode & 0o222:
            raise OSError(errno.EACCES, "not to be written")
        if access != os.O_WRONLY and not node.mode & 0o444:
            raise OSError(errno.EACCES, "not to be read")
        with self._mutex:
            self._next += 1
            self._files[self._next] = _Open(node, parts[-1])
            return self._next

    def read(self, _: str, size: int, offset: int, fh: int) -> bytes:
        """Return ``size`` bytes at ``offset``, of what the file held when it was first read."""
        file = self._files[fh]
        if file.node.kind == "blob" and file.is_written:
            raise OSError(errno.ETXTBSY, "it is written")
        file.is_read = True  # also when it fails
        if file.node.kind == "register" or not file.content:
            file.content = self._content(file)
        return file.content[offset : offset + size]

    def write(self, _: str, data: bytes, offset: int, fh: int) -> int:
        """Write ``data`` at ``offset``; of a blob, keep it until the file is closed."""
        file = self._files[fh]
        match file.node.kind:
            case "blob":
                _write_blob(file, data, offset)
            case "register":
                if offset:
                    raise OSError(errno.EINVAL, "a register is extended at offset 0")
                self._registers().extend(file.name, data)
            case "faults":
                self._tsm.faults.extend([_fault(word) for word in data.decode("ascii", "replace").split()])
            case _:
                self._tsm.write_privlevel(_there(file.node.request), data)
        return len(data)

    def flush(self, _: str, fh: int) -> None:
        """Take what was written, as the file is closed. FUSE's release may come later than the close returns."""
        file = self._files[fh]
        with self._mutex:
            due, file.is_taken = not file.is_taken, True
        if due:
            try:
                self._tsm.write_inblob(_there(file.node.request), file.content)
            except OSError:
                return  # Linux tells nobody either

    def release(self, _: str, fh: int) -> None:
        """Forget an open file."""
        self._files.pop(fh, None)

    def _content(self, file: _Open) -> bytes:
        match file.node.kind:
            case "blob":
                return self._tsm.blob(_there(file.node.request), file.name)
            case "register":
                return self._registers()[file.name]
            case "event log":
                return _there(self._tsm.driver).event_log
            case _:
                return self._tsm.attribute(_there(file.node.request), file.name)

    def _registers(self) -> Registers:
        return _there(_there(self._tsm.driver).registers)


def serve(driver: Driver | None, mount: Path, ready: Callable[[], None]) -> None:
    """Show an emulated configfs-tsm of ``driver`` at ``mount``, an empty folder, until SIGTERM or SIGINT ends it.

    ``ready`` is called once it is there. Raises ConfigError when it cannot be mounted.
    """
    try:
        import mfusepy
    except ImportError as error:
        raise ConfigError("mounting needs mfusepy: install airflow-provider-atlas[fuse]") from error
    except OSError as error:
        raise ConfigError("mounting needs libfuse: install fuse3 and libfuse3-3, as Debian calls them") from error
    files = TsmFiles(TsmEmulation(driver), ready)
    # What configfs does at once must not be put off or remembered by FUSE; and the modes are checked for everybody whom
    # the kernel lets in: others than who mounted it only where root did.
    options = {"direct_io": True, "default_permissions": True, "allow_other": os.geteuid() == 0, "max_idle_threads": 16}
    try:
        mfusepy.FUSE(files, str(mount), foreground=True, fsname="atlas-tsm", **options)
    except RuntimeError as error:
        told = f"cannot mount at {mount}: expected an empty folder, /dev/fuse, and the right to mount"
        raise ConfigError(told) from error


def _parts(path: str) -> TreePath:
    return tuple(part for part in path.split("/") if part)


def _request_name(path: str) -> str:
    parts = _parts(path)
    if len(parts) != 3 or parts[:2] != REPORT:
        raise OSError(errno.EPERM, "only requests are made and removed")
    return parts[2]


def _write_blob(file: _Open, data: bytes, offset: int) -> None:
    if file.is_read:
        raise OSError(errno.ETXTBSY, "it is read")
    file.is_written, file.is_taken = True, False  # a write that fails is one, too: it is taken with nothing in it
    if offset + len(data) > INBLOB_MAX:
        raise OSError(errno.EFBIG, "more than a request takes")
    before = file.content.ljust(offset, b"\0")
    file.content = before[:offset] + data + before[offset + len(data) :]


def _fault(word: str) -> int | float:
    number = getattr(errno, word, None)
    try:
        fault = number if isinstance(number, int) else float(word)
    except ValueError as error:
        raise OSError(errno.EINVAL, "neither an errno nor seconds") from error
    if not (math.isfinite(fault) and fault >= 0):
        raise OSError(errno.EINVAL, "not a time to wait")
    return fault


def _there(value: T | None) -> T:
    if value is None:
        raise OSError(errno.ENXIO, "no driver")
    return value
