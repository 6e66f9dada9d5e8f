"""The socket of the attestation helper: one that systemd opened, or one of our own, with nobody else's in its place."""

import errno
import os
import socket
import stat
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path

from airflow_provider_atlas.errors import ConfigError

_FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START
_BACKLOG = 1024


def inherited(environment: MutableMapping[str, str]) -> socket.socket | None:
    """Return the socket that systemd passed to this process, or None when it passed none.

    Raises ConfigError when it passed something else. See: sd_listen_fds(3).
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    number = environment.pop("LISTEN_FDS", "0")
    for name in ("LISTEN_PID", "LISTEN_FDNAMES"):  # they are not for the programs that we start
        environment.pop(name, None)
    if number != "1":
        raise ConfigError(f"expected one socket from systemd, not {number}: the .socket unit has one ListenStream=")
    try:
        listener = socket.socket(fileno=_FIRST_DESCRIPTOR)
        listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ConfigError("expected a socket from systemd at descriptor 3") from error
    if not listening or (listener.family, listener.type) != (socket.AF_UNIX, socket.SOCK_STREAM):
        listener.close()
        raise ConfigError("expected a listening stream socket of the Unix family from systemd: ListenStream=/a/path")
    os.set_inheritable(_FIRST_DESCRIPTOR, False)
    return listener


@contextmanager
def listening_at(path: Path, *, mode: int, group: int | None) -> Iterator[socket.socket]:
    """Listen at ``path`` as long as the block lasts, with ``mode`` and ``group`` (None: this process's own).

    What an earlier helper left there is removed. Raises ConfigError when another helper listens there, or it is no
    socket, or cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_way(path)
        _bind(listener, path)
        if group is not None:
            os.chown(path, -1, group)
        path.chmod(mode)
        listener.listen(_BACKLOG)
        inode = path.stat().st_ino
    except OSError as error:
        listener.close()
        raise ConfigError(f"cannot listen at {path}: {error.strerror or error}") from error
    try:
        yield listener
    finally:
        listener.close()
        with suppress(OSError):
            if path.stat().st_ino == inode:  # or else another helper has taken its place
                path.unlink()


def _bind(listener: socket.socket, path: Path) -> None:
    # Until its mode is set, nobody may connect. The mask is the process's, which has no other thread yet.
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)


def _make_way(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.EEXIST, "expected nothing there, or a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, "another helper listens there")
