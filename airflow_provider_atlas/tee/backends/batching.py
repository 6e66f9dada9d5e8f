"""Group commit for quotes: the requests that arrive while one quote is under way are the next one's, all at once.

A quote takes a second on some silicon, and a machine makes one at a time. For whatever serves the tasks of a machine
from several threads; no thread is kept for it, since of those who wait one makes the quote for all.
"""

import threading
import time
from dataclasses import dataclass, replace

from airflow_provider_atlas.errors import AttesterError
from airflow_provider_atlas.tee.attester import Attester
from airflow_provider_atlas.tee.batch import MAX_BATCH, fold
from airflow_provider_atlas.tee.evidence import Evidence

PATIENCE = 120.0
"""How many seconds a request waits: a quote that is under way, its own, and some more."""


@dataclass(slots=True, eq=False)
class _Request:
    report_data: bytes
    evidence: Evidence | None = None
    problem: str = ""

    @property
    def is_answered(self) -> bool:
        return self.evidence is not None or bool(self.problem)


class BatchingAttester:
    """An ``Attester`` for many threads: each of its quotes is for up to ``most`` requests, with a proof for each.

    Nobody is waited for: a request that finds no quote under way is quoted at once, in a batch of one.
    """

    def __init__(self, attester: Attester, *, most: int = MAX_BATCH, patience: float = PATIENCE) -> None:
        """Batch the requests to ``attester``. A request fails after ``patience`` seconds without its turn."""
        self._attester = attester
        self._most = most
        self._patience = patience
        self._turn = threading.Condition()
        self._waiting: list[_Request] = []
        self._is_quoting = False

    @property
    def waiting(self) -> int:
        """How many requests wait for the next quote."""
        return len(self._waiting)

    def attest(self, report_data: bytes) -> Evidence:
        """Return evidence for a batch in which ``report_data`` is, with the proof that it is.

        Raises AttesterError when the quote fails, to all that it was for; when its turn does not come in time; and
        unless ``report_data`` has 64 bytes.
        """
        if len(report_data) != 64:
            raise AttesterError(f"expected 64 bytes of report data, not {len(report_data)}")
        request, deadline = _Request(report_data), time.monotonic() + self._patience
        with self._turn:
            self._waiting.append(request)
            while not request.is_answered:
                if not self._is_quoting:
                    self._quote_next()
                elif not self._turn.wait(deadline - time.monotonic()) and not request.is_answered:
                    self._give_up(request)
        if request.evidence is None:
            raise AttesterError(request.problem)
        return request.evidence

    def _quote_next(self) -> None:
        """Make a quote for those who wait, whether or not the caller is among them. Called and left with the lock."""
        batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        self._is_quoting = True
        self._turn.release()
        try:
            self._quote(batch)
        finally:
            self._turn.acquire()
            self._is_quoting = False
            self._turn.notify_all()

    def _quote(self, batch: list[_Request]) -> None:
        problem = "the quote of the batch was broken off"
        try:
            report_data, proofs = fold([request.report_data for request in batch])
            evidence = self._attester.attest(report_data)
            for request, proof in zip(batch, proofs, strict=True):
                request.evidence = replace(evidence, batch=proof)
        except Exception as error:  # noqa: BLE001 - whatever it was, those who wait must hear of it
            problem = f"the quote of a batch of {len(batch)} failed: {error}"
        finally:
            for request in batch:
                request.problem = problem if request.evidence is None else ""

    def _give_up(self, request: _Request) -> None:
        if request in self._waiting:
            self._waiting.remove(request)
        # Its batch may be under way still: then what comes of it finds nobody.
        request.problem = f"expected a quote within {self._patience:g} s"
