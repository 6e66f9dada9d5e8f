"""Group commit: the entries that arrive while one commit waits for the disk are the next commit, all of them at once.

One thread appends; the event loop goes on. An entry is answered when the disk has it and a signed checkpoint covers it.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from airflow_provider_atlas.errors import LogError
from airflow_provider_atlas.tlog.log import TransparencyLog
from airflow_provider_atlas.tlog.receipt import Receipt

_MOST_AT_ONCE = 1024
_logger = logging.getLogger(__name__)


class BusyError(LogError):
    """So many entries wait that another one is better tried again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """An entry's receipt, and whether it is in the log because of this request (``fresh``), or was there before."""

    receipt: Receipt
    fresh: bool


class GroupCommit:
    """Appends to ``log`` for many callers of one event loop, of whom at most ``most_waiting`` wait at a time.

    Raises LogError when the log cannot be read.
    """

    def __init__(self, log: TransparencyLog, *, most_waiting: int) -> None:
        self._log = log
        self._most_waiting = most_waiting
        self._waiting: list[tuple[bytes, asyncio.Future[Committed]]] = []
        self._running: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="atlas-log-append")
        latest = log.latest()
        self.size = latest.size if latest else 0
        self.commits = 0

    @property
    def waiting(self) -> int:
        """How many entries wait for the next commit."""
        return len(self._waiting)

    async def append(self, entry: bytes) -> Committed:
        """Append ``entry``; return when it is durable. Raises BusyError, and LogError when the log refuses."""
        if len(self._waiting) >= self._most_waiting:
            raise BusyError("the log is busy: try again")
        future: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, future))
        if self._running is None:
            self._running = asyncio.create_task(self._commit_all())
        return await future

    async def close(self) -> None:
        """Return when all that waits is committed."""
        if self._running:
            await self._running
        self._thread.shutdown()

    async def _commit_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
            await self._commit(batch)
        self._running = None

    async def _commit(self, batch: list[tuple[bytes, asyncio.Future[Committed]]]) -> None:
        entries = [entry for entry, _ in batch]
        try:
            receipts = await asyncio.get_running_loop().run_in_executor(self._thread, self._log.append, entries)
        except Exception as error:
            # Whatever it was, those who wait must hear of it; what to do about it is for the operator alone.
            _logger.exception("cannot append to the log")
            for _, future in batch:
                if not future.done():
                    future.set_exception(LogError(str(error)))
            return
        first = self.size
        for (_, future), receipt in zip(batch, receipts, strict=True):
            # Indices are handed out in order: one that is below the next was given to somebody before.
            fresh = receipt.index >= first
            first = max(first, receipt.index + 1)
            if not future.done():
                future.set_result(Committed(receipt=receipt, fresh=fresh))
        newest = max(receipts, key=lambda receipt: receipt.index)
        self.size = max(self.size, newest.checkpoint.size)
        self.commits += 1
