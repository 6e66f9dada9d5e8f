"""Many threads, few quotes: whoever asks while one is under way gets the next one, together with the others."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from airflow_provider_atlas.errors import AttesterError
from airflow_provider_atlas.tee.backends.batching import BatchingAttester
from airflow_provider_atlas.tee.evidence import Evidence


class Slow:
    """A TEE whose every quote takes until it is let go, and which counts them."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.quoted: list[bytes] = []
        self.problem: Exception | None = None

    def attest(self, report_data: bytes) -> Evidence:
        self.quoted.append(report_data)
        assert self.go.acquire(timeout=20)
        if self.problem:
            raise self.problem
        return Evidence(tee="slow", provider="slow", media_type="x", quote=report_data)


@pytest.fixture
def slow() -> Slow:
    return Slow()


def leaf(number: int) -> bytes:
    return number.to_bytes(64, "big")


@contextmanager
def asked(attester: BatchingAttester, slow: Slow, number: int) -> Iterator[list[Future[Evidence]]]:
    """The first of ``number`` requests is being quoted, the others wait."""
    with ThreadPoolExecutor(number) as threads:
        first = threads.submit(attester.attest, leaf(0))
        _until(lambda: len(slow.quoted) == 1)
        others = [threads.submit(attester.attest, leaf(place)) for place in range(1, number)]
        _until(lambda: attester.waiting == number - 1)
        yield [first, *others]


def _until(holds) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_those_who_ask_while_a_quote_is_under_way_share_the_next(slow: Slow) -> None:
    attester = BatchingAttester(slow)
    with asked(attester, slow, 50) as requests:
        slow.go.release(2)
        made = [request.result(20) for request in requests]
    assert len(slow.quoted) == 2
    assert {each.quote for each in made[1:]} == {slow.quoted[1]}
    for number, evidence in enumerate(made):
        assert evidence.batch is not None
        assert evidence.batch.size == (1 if number == 0 else 49)
        assert evidence.batch.report_data(leaf(number)) == evidence.quote
    assert attester.waiting == 0


def test_a_batch_has_a_limit(slow: Slow) -> None:
    with asked(BatchingAttester(slow, most=4), slow, 10) as requests:
        slow.go.release(4)
        sizes = [request.result(20).batch.size for request in requests]  # type: ignore[union-attr]  # it is there
    assert sorted(sizes) == [1, 1, 4, 4, 4, 4, 4, 4, 4, 4]


def test_when_a_quote_fails_all_hear_of_it_that_it_was_for_and_nobody_else(slow: Slow) -> None:
    attester = BatchingAttester(slow)
    with asked(attester, slow, 4) as requests:
        slow.go.release()
        assert requests[0].result(20)
        slow.problem = RuntimeError("the driver hangs")
        slow.go.release()
        for request in requests[1:]:
            with pytest.raises(AttesterError, match="a batch of 3 failed: the driver hangs"):
                request.result(20)
        slow.problem = None
        slow.go.release()
        assert attester.attest(leaf(9)).batch


def test_a_quote_that_is_broken_off_fails_for_those_who_wait_with_it(slow: Slow) -> None:
    attester = BatchingAttester(slow)
    slow.problem = KeyboardInterrupt()  # type: ignore[assignment]  # no Exception, and raised all the same
    slow.go.release()
    with pytest.raises(KeyboardInterrupt):
        attester.attest(leaf(0))
    slow.problem = None
    slow.go.release()
    assert attester.attest(leaf(1)).quote == slow.quoted[1]


def test_nobody_waits_longer_than_he_is_willing_to(slow: Slow) -> None:
    attester = BatchingAttester(slow, patience=0.05)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(attester.attest, leaf(0))
        _until(lambda: len(slow.quoted) == 1)
        with pytest.raises(AttesterError, match=r"within 0\.05 s"):
            attester.attest(leaf(1))
        assert attester.waiting == 0
        slow.go.release()
        assert first.result(20).batch


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_report_data_of_another_size_is_refused_at_once(slow: Slow, size: int) -> None:
    with pytest.raises(AttesterError, match="64 bytes"):
        BatchingAttester(slow).attest(bytes(size))
    assert slow.quoted == []
