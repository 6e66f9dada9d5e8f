"""A store that fails at every single put, a database that is cut off at every message: the log goes on, and right."""

import itertools
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import LogError
from airflow_provider_atlas.tlog.backends.object_store import ObjectStoreLog
from airflow_provider_atlas.tlog.backends.postgres import PostgresLog
from tests.support.cutting_proxy import CuttingProxy, cutting_proxy
from tests.support.logs import KEY, ORIGIN, entries, entry
from tests.support.postgres_server import PostgresServer
from tests.support.s3_server import S3Server
from tests.support.shared_logs import open_shared, reader_of

pytestmark = pytest.mark.services

BASE = 254
"""Entries before the failing append, whose entries fill a tile."""

BATCH = (254, 258)

Log = ObjectStoreLog | PostgresLog


def assert_goes_on(uri: str) -> None:
    """Append something else, then what failed; no entry may be lost, or be there twice."""
    committed = open_shared(uri).append([entry(1000)])[0].index == BATCH[1]
    logged = [0, *range(250, BATCH[1])]
    receipts = open_shared(uri).append([entry(number) for number in logged])
    moved = [number + (number >= BASE and not committed) for number in logged]
    assert [receipt.index for receipt in receipts] == moved
    assert {receipt.check(entry(at), ORIGIN, [KEY]).size for at, receipt in zip(logged, receipts, strict=True)} == {259}
    assert reader_of(uri).audit().checkpoint.size == BATCH[1] + 1


def survives(log: Log) -> bool:
    """Append what fails, if it does."""
    try:
        receipts = log.append(entries(*BATCH))
    except LogError:
        return False
    assert [receipt.index for receipt in receipts] == list(range(*BATCH))
    return True


@pytest.fixture(scope="module")
def stored(s3: S3Server) -> str:
    """The prefix of a log of ``BASE`` entries."""
    open_shared(s3.uri("faults/base")).append(entries(0, BASE))
    return "faults/base"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client of the store ask a failing server again, but not for long."""
    monkeypatch.setattr("airflow_provider_atlas.tlog.backends.object_bucket._RETRIES", 1)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("done", [False, True], ids=["not done", "done and not answered"])
def test_store_that_fails_from_any_put_on(s3: S3Server, stored: str, done: bool):
    for puts in itertools.count():
        prefix = f"faults/{puts}-{done}"
        s3.copy(stored, prefix)
        log = open_shared(s3.uri(prefix))
        s3.fail(puts, done=done)
        alive = survives(log)
        s3.fail(None, done=False)
        assert_goes_on(s3.uri(prefix))
        if alive:
            break
    assert puts > 8
    assert s3.changed("faults/") == []


@pytest.mark.parametrize("done", [False, True], ids=["not done", "done and not answered"])
def test_store_that_fails_once_is_asked_again(s3: S3Server, stored: str, done: bool):
    for puts in range(12):
        prefix = f"once/{puts}-{done}"
        s3.copy(stored, prefix)
        log = open_shared(s3.uri(prefix))
        s3.fail(puts, done=done, once=True)
        assert survives(log)
        assert_goes_on(s3.uri(prefix))
    s3.fail(None, done=False)
    assert s3.changed("once/") == []


@pytest.fixture(scope="module")
def proxy(postgres: PostgresServer):
    with cutting_proxy(postgres.port) as proxy:
        yield proxy


@pytest.mark.parametrize("once", [True, False], ids=["once", "and stays away"])
@pytest.mark.parametrize("done", [False, True], ids=["not done", "done and not answered"])
def test_database_that_is_cut_off_at_any_message(postgres: PostgresServer, proxy: CuttingProxy, done: bool, once: bool):
    for messages in itertools.count():
        schema = f"cut_{messages}_{done}_{once}".lower()
        uri = postgres.uri(schema)
        open_shared(uri).append(entries(0, BASE))
        log = open_shared(postgres.uri(schema, proxy.port))
        proxy.cut(messages, done=done, once=once)
        alive = survives(log)
        proxy.cut(None)
        assert_goes_on(uri)
        assert alive or not once
        if messages > 25 or (alive and not once):
            break
    assert messages > 8


def test_writer_that_holds_the_row_and_sleeps_is_waited_for_no_longer_than_its_time(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
):
    import psycopg

    monkeypatch.setattr("airflow_provider_atlas.tlog.backends.postgres._PATIENCE", 1)
    uri = postgres.uri("sleeper")
    log = open_shared(uri)
    with psycopg.connect(uri) as sleeper:
        sleeper.execute("SELECT 1 FROM atlas_log FOR UPDATE")
        with pytest.raises(LogError, match="lock timeout"):
            log.append([entry(0)])
        sleeper.rollback()
    assert log.append([entry(0)])[0].index == 0


def test_connection_that_was_lost_between_two_appends_is_made_anew(postgres: PostgresServer, proxy: CuttingProxy):
    log = open_shared(postgres.uri("lost", proxy.port))
    log.append([entry(0)])
    proxy.cut(0, once=True)
    assert log.append([entry(1)])[0].index == 1


def test_store_that_is_away_is_a_log_error(tmp_path: Path):
    with pytest.raises(LogError, match="check the store"):
        open_shared("s3://atlas-log/away?endpoint=http://127.0.0.1:9&region=us-east-1", tmp_path)
    with pytest.raises(LogError, match="check the database"):
        open_shared("postgresql://atlas@127.0.0.1:9/postgres", tmp_path)
