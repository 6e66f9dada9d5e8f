"""One request to Linux's configfs-tsm: a folder of our own, 64 bytes in, a report out.

The bytes of ``inblob`` are taken when it is closed, and the kernel tells nobody whether they were. Only ``generation``,
which counts the writes, proves that the report is on our bytes and on nobody else's.
See: Linux, drivers/virt/coco/guest/report.c and fs/configfs/file.c.
"""

import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from airflow_provider_atlas.errors import AttesterError
from airflow_provider_atlas.tee.tsm import TsmReport

_PREFIX = "atlas-"
_MAX_BLOB = 32 * 1024  # TSM_REPORT_OUTBLOB_MAX
_LOCK_POLL_SECONDS = 0.01


def request(root: Path, inblob: bytes, privlevel: int | None) -> TsmReport:
    """Return the report on ``inblob`` that the kernel's folder ``root`` gives, at ``privlevel`` where it is not None.

    Raises OSError as the kernel does, InterruptedError when it has not taken our bytes, which may be tried again, and
    AttesterError when somebody else wrote to our request.
    """
    entry = root / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
    entry.mkdir()
    try:
        before, writes = _generation(entry), 1
        if privlevel is not None:
            _write_privlevel(entry, privlevel)
            writes += 1
        _write(entry / "inblob", inblob)
        _check_writes(entry, before + writes)
        report = TsmReport(
            provider=_text(entry / "provider"),
            outblob=_read(entry / "outblob"),
            auxblob=_read(entry / "auxblob") if (entry / "auxblob").exists() else b"",
        )
        _check_writes(entry, before + writes)
        return report
    finally:
        # Never rmtree: the attributes cannot be unlinked, and are gone with their folder.
        with suppress(OSError):
            entry.rmdir()


@contextmanager
def one_at_a_time(root: Path, until: float) -> Iterator[None]:
    """Be the only one on this machine who asks ``root``, as long as the block lasts; wait for that till ``until``.

    Many requests at once have crashed TDX guests. The folder itself is what is locked: all containers of a guest see
    the same one, and it needs no right to write. ``until`` is a time of the monotonic clock.

    Raises TimeoutError.
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while not _locked(descriptor):
            if time.monotonic() >= until:
                raise TimeoutError(errno.ETIMEDOUT, "others ask too")
            time.sleep(_LOCK_POLL_SECONDS)
        try:
            _sweep(root)
            yield
        finally:
            # A child that was forked meanwhile holds the descriptor too: closing ours would not unlock.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sweep(root: Path) -> None:
    """Remove what workers left that were killed: whoever holds the lock has no living neighbour."""
    for entry in root.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            entry.rmdir()


def _generation(entry: Path) -> int:
    return int(_read(entry / "generation"))


def _check_writes(entry: Path, expected: int) -> None:
    generation = _generation(entry)
    if generation > expected:
        raise AttesterError(
            f"expected generation {expected} of our request, not {generation}: somebody else on this machine writes to "
            f"{entry.parent}; find out who before you attest with it"
        )
    if generation < expected:
        raise InterruptedError(errno.EINTR, "the kernel has not taken our bytes")


def _write_privlevel(entry: Path, privlevel: int) -> None:
    try:
        _write(entry / "privlevel", str(privlevel).encode("ascii"))
    except FileNotFoundError as error:
        told = f"the driver {_text(entry / 'provider')} has no privilege levels: leave privlevel out of the setting"
        raise AttesterError(told) from error


def _text(path: Path) -> str:
    return _read(path).decode("ascii", "replace").strip()


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        if os.write(descriptor, content) != len(content):
            raise InterruptedError(errno.EINTR, "the kernel has not taken all of our bytes")
    finally:
        os.close(descriptor)


def _read(path: Path) -> bytes:
    """Return all of an attribute: it has no size before it is read, and cannot be sought in."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = bytearray()
        while part := os.read(descriptor, _MAX_BLOB):
            content += part
            if len(content) > 4 * _MAX_BLOB:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return bytes(content)
    finally:
        os.close(descriptor)
