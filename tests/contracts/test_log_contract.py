"""What every transparency log must do, whatever keeps it. A new backend is one line in ``LOGS``."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from airflow_provider_atlas.errors import LogError
from airflow_provider_atlas.tlog.backends.posix import PosixLog
from airflow_provider_atlas.tlog.log import TransparencyLog
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.trust import TrustedLog
from tests.support.fulcio import IDENTITY, ISSUER, Fulcio, Wanted
from tests.support.log_server import LogServer
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY, TASK_KEY, entries, entry, leaf, record, records
from tests.support.rekor_server import RekorServer
from tests.support.rekor_v1 import RekorV1


class Opener:
    """Opens the same log anew, as each task does. ``trusted`` verifies its receipts."""

    def __init__(self, trusted: TrustedLog, open_anew: Callable[[], TransparencyLog]) -> None:
        self.trusted = trusted
        self._open_anew = open_anew

    def __call__(self) -> TransparencyLog:
        return self._open_anew()

    def size(self) -> int:
        """Return how many entries the log says it has."""
        latest = self().latest()
        return latest.size if latest else 0


def trusted(key: VerifierKey) -> TrustedLog:
    return TrustedLog(origin=key.name, key=key)


@contextmanager
def posix(_: pytest.FixtureRequest, folder: Path) -> Iterator[Opener]:
    yield Opener(trusted(KEY), lambda: PosixLog(folder / "log", ORIGIN, SIGNING_KEY))


@contextmanager
def service(_: pytest.FixtureRequest, folder: Path) -> Iterator[Opener]:
    with LogServer(folder) as server:
        yield Opener(trusted(server.key), server.client)


@contextmanager
def rekor_v1(_: pytest.FixtureRequest, folder: Path) -> Iterator[Opener]:
    with RekorV1() as server:
        yield Opener(server.trusted, lambda: server.client(folder))


@contextmanager
def rekor_v2(_: pytest.FixtureRequest, folder: Path) -> Iterator[Opener]:
    with RekorServer(folder) as server:
        yield Opener(trusted(server.key), server.client)


@contextmanager
def s3(request: pytest.FixtureRequest, folder: Path) -> Iterator[Opener]:
    from airflow_provider_atlas.tlog.backends.object_store import ObjectStoreLog

    uri = request.getfixturevalue("s3").uri(f"contract/{folder.name}")
    yield Opener(trusted(KEY), lambda: ObjectStoreLog(uri, ORIGIN, SIGNING_KEY, seen=folder / "seen"))


@contextmanager
def postgres(request: pytest.FixtureRequest, folder: Path) -> Iterator[Opener]:
    from airflow_provider_atlas.tlog.backends.postgres import PostgresLog

    uri = request.getfixturevalue("postgres").uri(folder.name)
    yield Opener(trusted(KEY), lambda: PostgresLog(uri, ORIGIN, SIGNING_KEY, seen=folder / "seen"))


LOGS: dict[str, Callable[[pytest.FixtureRequest, Path], AbstractContextManager[Opener]]] = {
    "posix": posix,
    "service": service,
    "rekor-v1": rekor_v1,
    "rekor-v2": rekor_v2,
    "s3": s3,
    "postgres": postgres,
}
"""Every log. Sigstore's own Rekor v2 is fetched and built, Rekor v1 emulated; S3 and PostgreSQL servers are started."""

FOLDERS = ["posix", "s3", "postgres"]
"""The logs that take whatever bytes, many of them in one commit: a folder, and what stands in for one."""

MARKS = {"rekor-v2": pytest.mark.interop, "s3": pytest.mark.services, "postgres": pytest.mark.services}


def _marked(name: str) -> object:
    return pytest.param(name, marks=MARKS[name]) if name in MARKS else name


@pytest.fixture(params=map(_marked, LOGS))
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    with LOGS[request.param](request, tmp_path) as opened:
        yield opened


@pytest.fixture(params=map(_marked, FOLDERS))
def folder_opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    with LOGS[request.param](request, tmp_path) as opened:
        yield opened


def indices(receipts: Sequence[Receipt]) -> list[int]:
    return [receipt.index for receipt in receipts]


def test_new_log_holds_nothing(opener: Opener):
    assert opener.size() == 0


def test_new_log_has_signed_nothing(folder_opener: Opener):
    assert folder_opener().latest() is None


def test_appending_nothing_adds_nothing(opener: Opener):
    assert list(opener().append([])) == []
    assert opener.size() == 0


def test_each_entry_gets_an_index_of_its_own_and_a_receipt_that_holds(opener: Opener):
    for start in (0, 3, 6):
        receipts = opener().append(records(start, start + 3))
        assert sorted(indices(receipts)) == [start, start + 1, start + 2]
        for receipt, logged in zip(receipts, records(start, start + 3), strict=True):
            checkpoint = opener.trusted.check(Receipt.parse(receipt.to_bytes()), logged)
            assert start < checkpoint.size <= start + 3


def test_entries_of_one_call_are_covered_by_one_checkpoint_in_their_order(folder_opener: Opener):
    receipts = folder_opener().append(entries(0, 600))
    assert {receipt.checkpoint.size for receipt in receipts} == {600}
    assert indices(receipts) == list(range(600))


def test_latest_is_the_checkpoint_of_the_last_append(opener: Opener):
    for number in range(3):
        (receipt,) = opener().append([record(number)])
        assert opener().latest() == receipt.checkpoint


def test_entry_that_is_in_the_log_is_not_added_again(opener: Opener):
    first = dict(enumerate(indices(opener().append(records(0, 30)))))
    again = opener().append([record(29), record(30), record(0), record(30)])
    assert indices(again) == [first[29], 30, first[0], 30]
    for receipt, number in zip(again, (29, 30, 0, 30), strict=True):
        opener.trusted.check(receipt, record(number))
    assert indices(opener().append(records(0, 31))) == [*first.values(), 30]
    assert opener.size() == 31


def test_entry_of_a_tile_that_is_full_is_found_again(folder_opener: Opener):
    folder_opener().append(entries(0, 300))
    assert indices(folder_opener().append([entry(299), entry(300), entry(0)])) == [299, 300, 0]
    assert indices(folder_opener().append(entries(0, 301))) == list(range(301))
    assert folder_opener.size() == 301


def test_entry_of_a_signer_with_a_certificate_is_logged(opener: Opener):
    key, begins = TASK_KEY.public_key(), datetime.now(UTC)
    certificate = Fulcio().issue(Wanted(spki=key, identity=IDENTITY, issuer=ISSUER, begins=begins))
    logged = replace(leaf(0), spki=b"", certificate=certificate.public_bytes(Encoding.DER)).to_bytes()
    (receipt,) = opener().append([logged])
    opener.trusted.check(receipt, logged)
    assert indices(opener().append([record(0), logged])) == [1, 0]


def test_entry_that_comes_twice_in_one_call_is_logged_once(opener: Opener):
    one, two, again = indices(opener().append([record(0), record(1), record(0)]))
    assert one == again
    assert {one, two} == {0, 1}


@pytest.mark.parametrize("wrong", [b"", b"x" * 65_536], ids=["no byte", "65,536 bytes"])
def test_entry_that_no_log_can_hold_is_refused_with_all_of_its_call(opener: Opener, wrong: bytes):
    with pytest.raises(LogError, match="65535"):
        opener().append([record(0), wrong])
    assert opener.size() == 0


def test_largest_and_smallest_entry_are_logged(folder_opener: Opener):
    logged = [b"x" * 65_535, b"\x00"]
    for receipt, each in zip(folder_opener().append(logged), logged, strict=True):
        receipt.check(each, ORIGIN, [KEY])


def test_threads_share_one_log(opener: Opener):
    log, receipts = opener(), dict[int, Receipt]()

    def write(first: int) -> None:
        for number in range(first, first + 5):
            receipts[number] = log.append([record(number)])[0]

    threads = [threading.Thread(target=write, args=(first,)) for first in range(0, 40, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipt.index for receipt in receipts.values()) == list(range(40))
    for number, receipt in receipts.items():
        opener.trusted.check(receipt, record(number))
