"""Witnesses of a log that hosts share: nothing is published without them, and nothing that they saw is ever lost."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import LogError, SignatureError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tlog.backends import log_key
from airflow_provider_atlas.tlog.backends.object_bucket import Bucket
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.note import SignedNote
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.witness import Proof, origin_id
from airflow_provider_atlas.wiring import logs
from tests.support.logs import ORIGIN, entries, entry
from tests.support.s3_server import S3Server
from tests.support.shared_logs import open_shared, reader_of
from tests.support.witness_servers import Witnessed

pytestmark = pytest.mark.services


@pytest.fixture(params=["s3", "postgres"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return request.getfixturevalue(request.param).uri(tmp_path.name)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Witnessed]:
    with ExitStack() as stack:
        yield Witnessed(tmp_path, stack)


def published(uri: str) -> int:
    signed = reader_of(uri).latest()
    return signed.checkpoint.size if signed else 0


def test_each_receipt_and_checkpoint_has_its_quorum(town: Witnessed, uri: str):
    town.settle("a"), town.settle("b")
    for start, end in ((0, 1), (1, 256), (256, 300), (300, 301)):
        receipts = open_shared(uri, cosign=town.cosign(2)).append(entries(start, end))
        for receipt, logged in zip(receipts, entries(start, end), strict=True):
            assert town.trusted(2).check(Receipt.parse(receipt.to_bytes()), logged).size == end
        signed = reader_of(uri).latest()
        assert signed
        town.policy(2).check(signed.note)
    (again,) = open_shared(uri, cosign=town.cosign(2)).append([entry(0)])
    assert town.trusted(2).check(again, entry(0)).size == 301


def test_without_a_quorum_nothing_is_published_and_nothing_is_lost(town: Witnessed, uri: str):
    town.settle("a")
    open_shared(uri, cosign=town.cosign(1)).append(entries(0, 3))
    town.settle("away", url="http://127.0.0.1:9")
    for _ in range(2):
        with pytest.raises(LogError, match="no quorum"):
            open_shared(uri, cosign=town.cosign(2)).append(entries(3, 5))
        assert published(uri) == 3
    receipts = open_shared(uri, cosign=town.cosign(1)).append(entries(3, 5))
    assert [receipt.index for receipt in receipts] == [3, 4]
    assert reader_of(uri).audit().checkpoint.size == 5


def test_without_a_quorum_it_is_published_where_that_is_wished(
    town: Witnessed, uri: str, caplog: pytest.LogCaptureFixture
):
    town.settle("a")
    town.settle("away", url="http://127.0.0.1:9")
    (receipt,) = open_shared(uri, cosign=town.cosign(2, fail_open=True)).append([entry(0)])
    assert published(uri) == 1
    assert "without a quorum" in caplog.text
    assert town.trusted(1).check(receipt, entry(0)).size == 1
    with pytest.raises(SignatureError, match="quorum"):
        town.trusted(2).check(receipt, entry(0))


class Crash(BaseException):
    """What ends a process in the middle of things."""


def test_what_was_cosigned_is_in_the_log_after_a_crash(town: Witnessed, uri: str):
    witness, ask = town.settle("a"), town.cosign(1)
    open_shared(uri, cosign=ask).append(entries(0, 2))

    def dies_with_the_answer(note: SignedNote, before: SignedNote | None, proof: Proof) -> SignedNote:
        ask(note, before, proof)
        raise Crash

    with pytest.raises(Crash):
        open_shared(uri, cosign=dies_with_the_answer).append(entries(2, 7))
    assert published(uri) == 2
    seen = witness.checkpoint(origin_id(ORIGIN))
    assert seen
    assert SignedCheckpoint.parse(seen).checkpoint.size == 7
    (receipt,) = open_shared(uri, cosign=town.cosign(1)).append([entry(9)])  # the witness finds it to continue the 7
    assert (receipt.index, town.trusted(1).check(receipt, entry(9)).size) == (7, 8)
    assert reader_of(uri).audit().checkpoint.size == 8


def test_an_entry_that_a_crash_left_unpublished_is_published_when_it_comes_again(town: Witnessed, uri: str):
    town.settle("a")

    def dies_first(*_: object) -> SignedNote:
        raise Crash

    with pytest.raises(Crash):
        open_shared(uri, cosign=dies_first).append(entries(0, 2))
    assert published(uri) == 0
    receipts = open_shared(uri, cosign=town.cosign(1)).append(entries(0, 2))
    assert [town.trusted(1).check(each, entry(number)).size for number, each in enumerate(receipts)] == [2, 2]


def test_writers_that_meet_are_all_cosigned(town: Witnessed, uri: str):
    town.settle("a")
    receipts = dict[int, Receipt]()

    def write(first: int) -> None:
        log = open_shared(uri, cosign=town.cosign(1))
        for number in range(first, first + 4):
            receipts[number] = log.append([entry(number)])[0]

    threads = [threading.Thread(target=write, args=(first,)) for first in range(0, 24, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipt.index for receipt in receipts.values()) == list(range(24))
    for number, receipt in receipts.items():
        town.trusted(1).check(receipt, entry(number))
    assert reader_of(uri).audit().checkpoint.size == 24


def test_a_writer_that_was_overtaken_follows(town: Witnessed, s3: S3Server, tmp_path: Path):
    town.settle("a")
    uri, ask = s3.uri(tmp_path.name), town.cosign(1)
    fast = open_shared(uri, cosign=town.cosign(1))

    def is_overtaken(note: SignedNote, before: SignedNote | None, proof: Proof) -> SignedNote:
        fast.append([entry(100 + Checkpoint.parse(note.text).size)])
        return ask(note, before, proof)

    slow = open_shared(uri, cosign=is_overtaken)
    (receipt,) = slow.append([entry(0)])
    assert (receipt.index, town.trusted(1).check(receipt, entry(0)).size) == (0, 2)


def test_a_log_that_lost_what_a_witness_saw_publishes_nothing_more(town: Witnessed, s3: S3Server, tmp_path: Path):
    town.settle("a")
    uri = s3.uri(tmp_path.name)
    open_shared(uri, cosign=town.cosign(1)).append(entries(0, 2))
    s3.copy(tmp_path.name, f"{tmp_path.name}-backup")
    open_shared(uri, cosign=town.cosign(1)).append(entries(2, 7))
    restored = s3.uri(f"{tmp_path.name}-backup")
    with pytest.raises(LogError, match="rolled back"):
        open_shared(restored, cosign=town.cosign(1)).append([entry(9)])
    assert published(restored) == 2
    assert Bucket(restored).get(f"state/commit/{2:020d}")


def test_settings_name_the_witnesses(town: Witnessed, uri: str, tmp_path: Path):
    town.settle("a")
    log_key.create(tmp_path / "log.pem")
    (tmp_path / "policy").write_text(town.policy(1).to_text())
    section = {"log": uri, "log_origin": "other.example/log", "log_signer": f"file:{tmp_path}/log.pem"}
    asking = Settings.parse({**section, "log_witnesses": f"{tmp_path}/policy"}, home=str(tmp_path / "home"))
    with pytest.raises(LogError, match="no quorum"):  # it knows the tests' log, and not this one
        logs.transparency_log(asking).append([entry(0)])
    assert logs.transparency_log(asking).latest() is None
