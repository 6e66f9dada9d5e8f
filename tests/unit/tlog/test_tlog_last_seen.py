"""A worker remembers the newest checkpoint that it saw, and refuses a log that is behind it or beside it."""

from pathlib import Path

import pytest

from airflow_provider_atlas.errors import ConsistencyError, LogError
from airflow_provider_atlas.tlog.backends.last_seen import LastSeen
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.note import sign
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY


def root(size: int) -> bytes:
    return bytes([size]) * 32


def signed(size: int) -> SignedCheckpoint:
    checkpoint = Checkpoint(origin=ORIGIN, size=size, root=root(size))
    return SignedCheckpoint(checkpoint, sign(checkpoint.to_text(), ORIGIN, SIGNING_KEY))


@pytest.fixture(params=["kept", "in memory"])
def seen(request: pytest.FixtureRequest, tmp_path: Path) -> LastSeen:
    return LastSeen(tmp_path / "seen" if request.param == "kept" else None, KEY)


def test_nothing_was_seen_of_a_new_log(seen: LastSeen):
    assert seen.size == 0
    seen.check(0, root)


def test_log_that_goes_on_is_accepted(seen: LastSeen):
    seen.keep(signed(3))
    seen.check(3, root)
    seen.check(9, root)


def test_log_that_is_behind_is_refused(seen: LastSeen):
    seen.keep(signed(3))
    with pytest.raises(ConsistencyError, match="has 2 entries, and this worker saw it sign 3"):
        seen.check(2, root)


def test_log_with_another_past_is_refused(seen: LastSeen):
    seen.keep(signed(3))
    with pytest.raises(ConsistencyError, match="forked"):
        seen.check(9, lambda _: bytes(32))


def test_older_checkpoint_does_not_replace_a_newer_one(seen: LastSeen, tmp_path: Path):
    seen.keep(signed(3))
    seen.keep(signed(2))
    LastSeen(tmp_path / "seen", KEY).keep(signed(1))
    assert seen.size == 3


def test_next_process_remembers(tmp_path: Path):
    LastSeen(tmp_path, KEY).keep(signed(3))
    assert LastSeen(tmp_path, KEY).size == 3
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize("content", [b"rubbish", b"log.example/atlas\n3\n\n"])
def test_file_that_the_log_did_not_sign_is_refused(tmp_path: Path, content: bytes):
    LastSeen(tmp_path, KEY).keep(signed(3))
    (path,) = (path for path in tmp_path.iterdir() if not path.suffix)
    path.write_bytes(content)
    with pytest.raises(LogError, match="remove it"):
        LastSeen(tmp_path, KEY).check(9, root)


def test_folder_that_cannot_be_made_is_a_log_error(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LogError, match="cannot remember"):
        LastSeen(tmp_path / "file" / "seen", KEY).keep(signed(3))
