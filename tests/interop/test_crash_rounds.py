"""Writers that are killed leave a log that others' checkers accept; and those checkers do refuse a flipped bit."""

import shutil
from pathlib import Path

import pytest

from tests.support.crash_rounds import accepted, fsck, run_rounds
from tests.support.logs import KEY, entries, open_log

pytestmark = pytest.mark.interop


def test_nothing_is_lost_and_nothing_changes_when_writers_are_killed(tmp_path: Path):
    assert "20 rounds" in run_rounds(tmp_path, 20, seed=1)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 700 entries: some taken before they were signed for."""
    folder = tmp_path_factory.mktemp("fsck") / "log"
    open_log(folder).append(entries(0, 300))
    open_log(folder).sequence(entries(300, 400))
    open_log(folder).append(entries(400, 700))
    return folder


def verdict(folder: Path) -> str:
    key = folder.parent / "vkey"
    key.write_text(f"{KEY}\n")
    return fsck(folder, key, patience=10)


def test_fsck_accepts_the_log(log: Path):
    assert accepted(verdict(log), 700)


@pytest.mark.parametrize(
    "name",
    ["checkpoint", "tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/001", "tile/entries/002.p/188"],
)
def test_fsck_refuses_a_flipped_bit(log: Path, tmp_path: Path, name: str):
    damaged = Path(shutil.copytree(log, tmp_path / "log", ignore=shutil.ignore_patterns(".state")))
    content = bytearray((damaged / name).read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / name).write_bytes(content)
    said = verdict(damaged)
    assert not accepted(said, 700)
    assert "fsck failed: " in said or (name == "tile/0/000" and said == "no verdict")
