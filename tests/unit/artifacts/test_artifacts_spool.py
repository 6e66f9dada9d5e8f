"""A spooled record survives, in order, until it is discarded."""

from pathlib import Path

import pytest

from airflow_provider_atlas.artifacts.backends.folder_spool import FolderSpool
from airflow_provider_atlas.errors import ArchiveError, MissingError


def test_nothing_was_ever_spooled(tmp_path: Path) -> None:
    assert FolderSpool(tmp_path / "none").names() == []


def test_what_is_spooled_is_there_for_another_process(tmp_path: Path) -> None:
    FolderSpool(tmp_path / "spool").put("aa", b"first")
    FolderSpool(tmp_path / "spool").put("bb", b"second")
    FolderSpool(tmp_path / "spool").put("aa", b"further")
    spool = FolderSpool(tmp_path / "spool")
    assert sorted(spool.names()) == ["aa", "bb"]
    assert spool.get("aa") == b"further"
    spool.discard("aa")
    spool.discard("aa")
    assert spool.names() == ["bb"]


def test_what_another_process_drained_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        FolderSpool(tmp_path).get("aa")


def test_half_a_record_is_never_listed(tmp_path: Path) -> None:
    spool = FolderSpool(tmp_path)
    spool.put("aa", b"whole")
    (tmp_path / "tmpabc").write_bytes(b"hal")  # what a crash leaves before the rename
    assert spool.names() == ["aa"]


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    spool = FolderSpool(tmp_path / "spool")
    spool.put("aa", b"not redacted")
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0
    assert (tmp_path / "spool" / "aa.record").stat().st_mode & 0o077 == 0


def test_a_file_in_the_folders_place_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(ArchiveError, match="cannot write to the spool"):
        FolderSpool(tmp_path / "spool").put("aa", b"x")
