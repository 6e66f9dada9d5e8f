"""The attestation helper: lets users of a machine ask an attester that root alone may ask.

Who connects is known by the kernel's word (``SO_PEERCRED``), and must be one of the users that were named. Whoever may
ask gets quotes over whatever 64 bytes: a quote says that somebody on this machine asked, and no more.
See: unix(7), SO_PEERCRED; ``tee.answer`` for what is said.
"""

import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from airflow_provider_atlas.errors import AttesterError
from airflow_provider_atlas.tee.answer import REQUEST_SIZE, Answer, Problem
from airflow_provider_atlas.tee.attester import Attester
from airflow_provider_atlas.tee.evidence import Evidence

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_PAUSE_SECONDS = 0.1

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """How many requests each user may make a second, in bursts of ten times as many; how many are answered at once.

    A client has ``patience`` seconds to send its request, and as many to take its answer.
    """

    rate: float = 50.0
    at_once: int = 64
    patience: float = 5.0


class AttesterServer:
    """Serves ``attester`` to the users ``uids``, each request in a thread of its own: the attester must stand that."""

    def __init__(self, attester: Attester, uids: Collection[int], limits: ServerLimits | None = None) -> None:
        """Prepare to serve; nothing is asked of ``attester`` yet."""
        self._attester = attester
        self._limits = limits or ServerLimits()
        self._rates = {uid: _Rate(self._limits.rate) for uid in uids}
        self._free = threading.BoundedSemaphore(self._limits.at_once)
        self._stopping = threading.Event()

    def serve(self, listener: socket.socket) -> None:
        """Answer who connects to ``listener``, a listening Unix socket, until ``stop``; then who is being answered.

        Never raises for what a client does.
        """
        listener.settimeout(_PAUSE_SECONDS)
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError as error:  # no descriptor is free, or the client has gone: both pass
                _logger.warning("cannot accept a connection: %s", error.strerror)
                self._stopping.wait(_PAUSE_SECONDS)
                continue
            self._admit(connection)
        for _ in range(self._limits.at_once):  # all are free once nobody is being answered
            self._free.acquire()

    def stop(self) -> None:
        """Take no more requests. May be called from a signal handler."""
        self._stopping.set()

    def _admit(self, connection: socket.socket) -> None:
        problem = self._refusal(_uid(connection))
        if problem is None and not self._free.acquire(blocking=False):
            problem = Problem(detail="too many ask at once", again=True)
        if problem is not None:
            _hang_up(connection, Answer(content=problem), 0)
            return
        thread = threading.Thread(target=self._answer_and_free, args=(connection,), name="atlas-helper", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has no thread left
            self._free.release()
            _hang_up(connection, Answer(content=Problem(detail="too many ask at once", again=True)), 0)

    def _refusal(self, uid: int | None) -> Problem | None:
        rate = self._rates.get(uid) if uid is not None else None
        if rate is None:
            _logger.warning("refused user %s", uid)
            return Problem(detail=f"user {uid} may not ask: start the helper with --allow-uid {uid}")
        return None if rate.admits() else Problem(detail="too many requests a second", again=True)

    def _answer_and_free(self, connection: socket.socket) -> None:
        try:
            _hang_up(connection, Answer(content=self._answer(connection)), self._limits.patience)
        finally:
            self._free.release()

    def _answer(self, connection: socket.socket) -> Evidence | Problem:
        try:
            report_data = _received(connection, self._limits.patience)
        except OSError as error:
            return Problem(detail=f"expected {REQUEST_SIZE} bytes, and the end of them: {error}")
        try:
            return self._attester.attest(report_data)
        except AttesterError as error:
            return Problem(detail=str(error))
        except Exception:  # whatever it is, others must still be served
            _logger.exception("the attester failed")
            return Problem(detail="the attester failed: see the helper's log")


class _Rate:
    """At most ``per_second`` requests a second, in bursts of ten times as many; for one thread."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._most = self._left = max(1.0, 10 * per_second)
        self._clock = clock
        self._at = clock()

    def admits(self) -> bool:
        """Whether one more request is within the rate, which it then counts for."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _uid(connection: socket.socket) -> int | None:
    try:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return None
    _, uid, _ = _CREDENTIALS.unpack(credentials)
    return int(uid)


def _received(connection: socket.socket, patience: float) -> bytes:
    """Return a whole request. Raises OSError when it does not come in time, or is none."""
    until, content = time.monotonic() + patience, b""
    while len(content) <= REQUEST_SIZE:
        connection.settimeout(max(until - time.monotonic(), 0.001))
        part = connection.recv(REQUEST_SIZE + 1 - len(content))
        if not part:
            break
        content += part
    if len(content) != REQUEST_SIZE:
        raise OSError("another number of bytes")
    return content


def _hang_up(connection: socket.socket, answer: Answer, patience: float) -> None:
    """Send ``answer``, for as long as ``patience`` lasts, and close."""
    with connection, suppress(OSError):
        connection.settimeout(patience)
        connection.sendall(answer.to_bytes())
        connection.shutdown(socket.SHUT_WR)
