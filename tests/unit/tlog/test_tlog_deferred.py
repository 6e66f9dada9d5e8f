"""A log that takes entries before it signs for them: final at once, durable at once, covered later."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import LogError
from airflow_provider_atlas.tlog.backends.posix import PosixLog
from airflow_provider_atlas.tlog.backends.posix_reader import PosixLogReader
from tests.support.logs import KEY, ORIGIN, entries, entry, open_log

JOURNAL = ".state/journal/00000000000000000000.log"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def log(tmp_path: Path) -> PosixLog:
    return open_log(tmp_path / "log")


def test_entries_that_were_taken_keep_their_places_and_are_signed_for_later(log: PosixLog, tmp_path: Path):
    assert log.sequence(entries(0, 3)) == [0, 1, 2]
    assert open_log(tmp_path / "log").sequence([entry(3)]) == [3]
    assert log.latest() is None
    receipts = log.append(entries(0, 4))
    assert [receipt.index for receipt in receipts] == [0, 1, 2, 3]
    assert receipts[0].check(entry(0), ORIGIN, [KEY]) == log.reader.audit().checkpoint


def test_an_entry_is_taken_once(log: PosixLog, tmp_path: Path):
    log.append(entries(0, 2))
    assert log.sequence([entry(1), entry(2), entry(1)]) == [1, 2, 1]
    assert log.sequence([entry(2)]) == open_log(tmp_path / "log").sequence([entry(2)]) == [2]


def test_integrating_signs_for_all_that_was_taken_and_for_nothing_twice(log: PosixLog):
    assert log.integrate() is None
    assert log.sequence([]) == []
    log.sequence(entries(0, 5))
    checkpoint = log.integrate()
    assert checkpoint
    assert checkpoint.size == 5
    journal = (log.reader, log.integrate())[1]
    assert journal == checkpoint == log.reader.audit().checkpoint


def test_the_next_who_appends_signs_for_all_that_was_taken(log: PosixLog):
    log.sequence(entries(0, 5))
    (receipt,) = log.append([entry(5)])
    assert (receipt.index, receipt.checkpoint.size) == (5, 6)
    log.reader.audit()


def test_what_is_taken_is_on_the_disk_before_its_place_is_told(log: PosixLog, monkeypatch: pytest.MonkeyPatch):
    synced = []
    sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (sync(fd), synced.append(os.readlink(f"/proc/self/fd/{fd}"))))
    log.sequence([entry(0)])
    assert [path[-len(JOURNAL) :] for path in synced] == [JOURNAL]
    # Who wrote it may have died before the disk had it, so also who asks again waits.
    log.sequence([entry(0)])
    assert len(synced) == 2


def test_tree_is_built_before_those_who_open_the_log_have_much_to_read(log: PosixLog):
    for number in range(256):
        log.sequence([entry(number)])
    assert log.reader.audit().checkpoint.size == 256


def test_log_that_was_rolled_back_takes_nothing(log: PosixLog, tmp_path: Path):
    log.append(entries(0, 10))
    shutil.copytree(tmp_path / "log", tmp_path / "backup")
    log.append(entries(10, 20))
    shutil.copy(tmp_path / "backup" / JOURNAL, tmp_path / "log" / JOURNAL)
    for opened in (log, open_log(tmp_path / "log")):
        with pytest.raises(LogError, match="restore"):
            opened.sequence([entry(99)])


@pytest.fixture(scope="module", params=["sync", "deferred"])
def deaths(request: pytest.FixtureRequest, memory: Path) -> list[Path]:
    """The log of a writer whose entries fill a tile, dead before each of its system calls."""
    folder, out = memory / f"{request.param}-log" / "log", memory / f"{request.param}-log" / "deaths"
    out.mkdir(parents=True)
    open_log(folder).append(entries(0, 254))
    command = [sys.executable, "-m", "tests.support.dying_writer", str(folder), str(out), "254", "258", request.param]
    subprocess.run(command, cwd=ROOT, check=True)
    return sorted((path for path in out.iterdir() if path.is_dir()), key=lambda path: int(path.name))


def test_writer_that_dies_at_any_system_call_loses_nothing_that_it_was_promised(deaths: list[Path], tmp_path: Path):
    assert len(deaths) > 30
    for death in deaths:
        folder = Path(shutil.copytree(death, tmp_path / death.name))
        assert PosixLogReader(folder, KEY).audit().checkpoint.size in (254, 258)
        assert_goes_on(folder, taken=was_taken(death))


def test_power_failure_at_any_system_call_loses_nothing_that_was_promised(deaths: list[Path], tmp_path: Path):
    for death in deaths:
        folder = Path(shutil.copytree(death, tmp_path / death.name))
        shutil.copy(on_disk(death), folder / JOURNAL)
        for path in (*folder.glob(".state/index/*"), folder / ".state/tree.json", folder / ".state/proofs"):
            if path.exists():
                path.write_bytes(path.read_bytes()[:1])
        assert_goes_on(folder, taken=was_taken(death))


def was_taken(death: Path) -> bool:
    return bool({"taken", "alive"} & set(death.with_suffix(".disk").read_text().splitlines()))


def on_disk(death: Path) -> Path:
    """Return what the disk holds of the journal: what it was asked to keep last, or what it had before."""
    kept = death.with_suffix(".journal")
    return kept if kept.exists() else death.parents[1] / "log" / JOURNAL


def assert_goes_on(folder: Path, *, taken: bool) -> None:
    """Another history follows, unless the four entries had been promised their places."""
    (receipt,) = open_log(folder).append([entry(1000)])
    assert receipt.index == 258 or (receipt.index == 254 and not taken)
    receipts = open_log(folder).append(entries(254, 258))
    assert [receipt.index for receipt in receipts] in ([254, 255, 256, 257], [255, 256, 257, 258])
    assert not taken or receipts[0].index == 254
    assert PosixLogReader(folder, KEY).audit().checkpoint.size == 259
