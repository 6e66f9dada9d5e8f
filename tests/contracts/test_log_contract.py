"""What every transparency log must do, whatever keeps it. A new backend is one line in ``LOGS``."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_atlas.errors import LogError
from airflow_provider_atlas.tlog.backends.posix import PosixLog
from airflow_provider_atlas.tlog.log import TransparencyLog
from airflow_provider_atlas.tlog.receipt import Receipt
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY, entries, entry

Opener = Callable[[], TransparencyLog]


def posix(_: pytest.FixtureRequest, place: Path) -> TransparencyLog:
    return PosixLog(place / "log", ORIGIN, SIGNING_KEY)


def s3(request: pytest.FixtureRequest, place: Path) -> TransparencyLog:
    from airflow_provider_atlas.tlog.backends.object_store import ObjectStoreLog

    uri = request.getfixturevalue("s3").uri(f"contract/{place.name}")
    return ObjectStoreLog(uri, ORIGIN, SIGNING_KEY, seen=place / "seen")


def postgres(request: pytest.FixtureRequest, place: Path) -> TransparencyLog:
    from airflow_provider_atlas.tlog.backends.postgres import PostgresLog

    uri = request.getfixturevalue("postgres").uri(place.name)
    return PostgresLog(uri, ORIGIN, SIGNING_KEY, seen=place / "seen")


LOGS: list[Callable[[pytest.FixtureRequest, Path], TransparencyLog] | Any] = [
    posix,
    pytest.param(s3, marks=pytest.mark.services),
    pytest.param(postgres, marks=pytest.mark.services),
]


@pytest.fixture(params=LOGS, ids=lambda log: log.__name__)
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Open the same log anew, as each task does."""
    return lambda: request.param(request, tmp_path)  # type: ignore[no-any-return]


def indices(receipts: list[Receipt]) -> list[int]:
    return [receipt.index for receipt in receipts]


def test_new_log_has_signed_nothing(opener: Opener):
    assert opener().latest() is None


def test_appending_nothing_signs_nothing(opener: Opener):
    assert list(opener().append([])) == []
    assert opener().latest() is None


def test_each_entry_gets_the_next_index_and_a_receipt_that_holds(opener: Opener):
    for start in (0, 3, 6):
        receipts = opener().append(entries(start, start + 3))
        assert indices(receipts) == [start, start + 1, start + 2]
        for receipt, logged in zip(receipts, entries(start, start + 3), strict=True):
            checkpoint = Receipt.parse(receipt.to_bytes()).check(logged, ORIGIN, [KEY])
            assert checkpoint.size == start + 3


def test_entries_of_one_call_are_covered_by_one_checkpoint(opener: Opener):
    receipts = opener().append(entries(0, 600))
    assert {receipt.checkpoint.size for receipt in receipts} == {600}
    assert indices(receipts) == list(range(600))


def test_latest_is_the_checkpoint_of_the_last_append(opener: Opener):
    for number in range(3):
        (receipt,) = opener().append([entry(number)])
        assert opener().latest() == receipt.checkpoint


def test_entry_that_is_in_the_log_is_not_added_again(opener: Opener):
    opener().append(entries(0, 300))
    again = opener().append([entry(299), entry(300), entry(0), entry(300)])
    assert indices(again) == [299, 300, 0, 300]
    for receipt, number in zip(again, (299, 300, 0, 300), strict=True):
        receipt.check(entry(number), ORIGIN, [KEY])
    assert indices(opener().append(entries(0, 301))) == list(range(301))
    latest = opener().latest()
    assert latest
    assert latest.size == 301


def test_entry_that_comes_twice_in_one_call_is_logged_once(opener: Opener):
    assert indices(opener().append([entry(0), entry(1), entry(0)])) == [0, 1, 0]


@pytest.mark.parametrize("wrong", [b"", b"x" * 65_536], ids=["no byte", "65,536 bytes"])
def test_entry_that_no_log_can_hold_is_refused_with_all_of_its_call(opener: Opener, wrong: bytes):
    with pytest.raises(LogError, match="65535"):
        opener().append([entry(0), wrong])
    assert opener().latest() is None


def test_largest_and_smallest_entry_are_logged(opener: Opener):
    logged = [b"x" * 65_535, b"\x00"]
    for receipt, each in zip(opener().append(logged), logged, strict=True):
        receipt.check(each, ORIGIN, [KEY])


def test_threads_share_one_log(opener: Opener):
    log, receipts = opener(), dict[int, Receipt]()

    def write(first: int) -> None:
        for number in range(first, first + 10):
            receipts[number] = log.append([entry(number)])[0]

    threads = [threading.Thread(target=write, args=(first,)) for first in range(0, 40, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipt.index for receipt in receipts.values()) == list(range(40))
    for number, receipt in receipts.items():
        receipt.check(entry(number), ORIGIN, [KEY])
