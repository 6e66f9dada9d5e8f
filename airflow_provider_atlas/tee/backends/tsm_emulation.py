"""Linux's configfs-tsm without Linux: the state behind its files, and its rules, errno for errno.

A ``Driver`` stands for ``tdx_guest`` or ``sev_guest``; a ``TsmEmulation`` for what the kernel keeps of requests. How
they show as files is ``tsm_fuse``'s business.
See: Linux, drivers/virt/coco/guest/report.c (requests), drivers/virt/coco/guest/tsm-mr.c (registers).
"""

import errno
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from airflow_provider_atlas.tee.ccel import extended

INBLOB_MAX = 64
"""Bytes that a request takes, and that both drivers want."""

OUTBLOB_MAX = 32 * 1024
"""Bytes of the longest report."""

_PRIVLEVEL_MAX = 3
_COUNTERS = 1 << 64
_NUMBER = re.compile(rb"\+?(0x[0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)\n?\Z")


class Registers:
    """A guest's measurement registers by their file's name; those in ``extendable`` grow, for as long as it runs."""

    def __init__(self, values: Mapping[str, bytes], extendable: frozenset[str]) -> None:
        self.extendable = extendable
        self._values = dict(values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __getitem__(self, name: str) -> bytes:
        return self._values[name]

    def extend(self, name: str, digest: bytes) -> None:
        """Extend ``name``. Raises OSError EINVAL for a digest that is not as long as the register."""
        if len(digest) != len(self._values[name]):
            raise OSError(errno.EINVAL, "a register is extended by a digest of its own length")
        self._values[name] = extended(self._values[name], digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A guest driver: ``report(inblob, privlevel)`` returns the report, and what goes with it (``auxblob``) or None.

    ``privlevel_floor`` is None for a driver that has no privilege levels, nor an ``auxblob``. ``event_log`` is the CCEL
    area, empty for a guest without one. ``latency`` is how many seconds a report takes.
    """

    name: str
    report: Callable[[bytes, int], tuple[bytes, bytes | None]]
    privlevel_floor: int | None = None
    registers: Registers | None = None
    event_log: bytes = b""
    latency: float = 0.0


@dataclass(slots=True, eq=False)
class Request:
    """One folder below ``report``: what was written, and the report that was made of it."""

    written: int = 0
    read: int = 0
    inblob: bytes = b""
    privlevel: int = 0
    outblob: bytes | None = None
    auxblob: bytes = b""


@dataclass(slots=True, eq=False)
class TsmEmulation:
    """The requests to ``driver``, None where no driver is loaded. Every method raises OSError as the kernel would.

    ``faults`` are what the next reports meet, one each: an errno to fail with, or seconds to take longer.
    """

    driver: Driver | None
    faults: deque[int | float] = field(default_factory=deque)
    requests: dict[str, Request] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)  # one for all requests, as tsm_rwsem is

    def make(self, name: str) -> None:
        """Make the request ``name``."""
        with self._lock:
            if self.driver is None:
                raise OSError(errno.ENXIO, "no driver")
            if name in self.requests:
                raise OSError(errno.EEXIST, "it is there")
            self.requests[name] = Request()

    def remove(self, name: str) -> None:
        """Remove the request ``name``; who has its files open keeps them."""
        with self._lock:
            if self.requests.pop(name, None) is None:
                raise OSError(errno.ENOENT, "it is not there")

    def write_inblob(self, request: Request, content: bytes) -> None:
        """Take ``content``, 64 bytes at most, for the next report."""
        with self._lock:
            self._count(request)
            request.inblob = content

    def write_privlevel(self, request: Request, text: bytes) -> None:
        """Take the number in ``text`` for the next report, from the driver's floor to 3."""
        floor = self.driver.privlevel_floor if self.driver else None
        level = _number(text)
        if floor is None or not floor <= level <= _PRIVLEVEL_MAX:
            raise OSError(errno.EINVAL, "not a privilege level of this guest")
        with self._lock:
            self._count(request)
            request.privlevel = level

    def attribute(self, request: Request, name: str) -> bytes:
        """Return the text of ``generation``, ``provider`` or ``privlevel_floor``."""
        if self.driver is None:
            raise OSError(errno.ENXIO, "no driver")
        with self._lock:
            values = {
                "generation": request.written,
                "provider": self.driver.name,
                "privlevel_floor": self.driver.privlevel_floor,
            }
            return f"{values[name]}\n".encode("ascii")

    def blob(self, request: Request, name: str) -> bytes:
        """Return ``outblob`` or ``auxblob``: made by the first read after a write, and kept until the next."""
        with self._lock:
            if not request.inblob:
                raise OSError(errno.EINVAL, "nothing was asked")
            if request.outblob is None or request.read != request.written:
                request.outblob = None
                request.outblob, auxblob = self._made(request)
                request.auxblob = auxblob or b""
                request.read = request.written
            content = request.outblob if name == "outblob" else request.auxblob
            if len(content) > OUTBLOB_MAX:
                raise OSError(errno.EFBIG, "longer than any report")
            return content

    def _made(self, request: Request) -> tuple[bytes, bytes | None]:
        if self.driver is None:
            raise OSError(errno.ENXIO, "no driver")
        fault = self.faults.popleft() if self.faults else 0.0
        if isinstance(fault, int):
            raise OSError(fault, "as was asked for")
        if len(request.inblob) != INBLOB_MAX:
            raise OSError(errno.EINVAL, "both drivers want 64 bytes")
        time.sleep(self.driver.latency + fault)
        return self.driver.report(request.inblob, request.privlevel)

    def _count(self, request: Request) -> None:
        # One more write, and the counters would be equal as they are when nothing was written since the last report.
        if request.written == (request.read - 1) % _COUNTERS:
            raise OSError(errno.EBUSY, "too many writes without a read")
        request.written = (request.written + 1) % _COUNTERS


def _number(text: bytes) -> int:
    """Return the number that ``text`` spells, as the kernel's kstrtouint does with any base."""
    match = _NUMBER.match(text)
    if match is None:
        raise OSError(errno.EINVAL, "not a number")
    digits = match[1]
    base = 16 if digits[:2].lower() == b"0x" else 8 if digits[:1] == b"0" else 10
    number = int(digits, base)
    if number >= 1 << 32:
        raise OSError(errno.ERANGE, "too large a number")
    return number
