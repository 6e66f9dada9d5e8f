"""Many processes share one log, and are killed at any moment: nothing that was acknowledged is lost."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.s3_server import S3Server
from tests.support.shared_logs import assert_nothing_is_lost, open_shared, start_writers

pytestmark = pytest.mark.services

WRITERS = [str(number) for number in range(8)]
ROUNDS = 4
EACH = 25


@pytest.fixture(params=["s3", "postgres"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    server = request.getfixturevalue(request.param)
    yield server.uri(tmp_path.name)
    if isinstance(server, S3Server):
        assert server.changed(tmp_path.name) == []


def test_eight_writers_log_each_entry_once(uri: str, tmp_path: Path):
    notes = tmp_path / "notes"
    notes.mkdir()
    writers = start_writers(uri, notes, WRITERS, EACH, tmp_path / "seen")
    assert [writer.wait(120) for writer in writers] == [0] * len(WRITERS)
    shared = EACH // 5
    checkpoint = assert_nothing_is_lost(uri, notes)
    assert len(WRITERS) * EACH < checkpoint.size <= len(WRITERS) * EACH + shared
    assert sum(len(path.read_text().splitlines()) for path in notes.iterdir()) >= 200


def test_nothing_that_was_acknowledged_is_lost_when_writers_are_killed(uri: str, tmp_path: Path):
    notes, size = tmp_path / "notes", 0
    notes.mkdir()
    for turn in range(ROUNDS):
        writers = start_writers(uri, notes, [f"{turn}-{name}" for name in WRITERS], 10_000, tmp_path / "seen")
        _wait_until_half_have_logged(notes, turn)
        for writer in writers:
            time.sleep(random.Random(f"{turn} {writer.pid}").uniform(0, 0.15))
            writer.kill()
        for writer in writers:
            writer.wait()
        (receipt,) = open_shared(uri).append([b"after the crash %d" % turn])
        now = assert_nothing_is_lost(uri, notes).size
        assert now == receipt.checkpoint.size > size
        size = now
    assert sum(len(path.read_text().splitlines()) for path in notes.iterdir()) >= ROUNDS * len(WRITERS) // 2


def _wait_until_half_have_logged(notes: Path, turn: int) -> None:
    end = time.monotonic() + 300
    while sum(path.stat().st_size > 0 for path in notes.glob(f"{turn}-*")) < len(WRITERS) // 2:
        assert time.monotonic() < end, "the writers log nothing"
        time.sleep(0.02)
