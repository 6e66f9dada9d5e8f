"""One run's folder of an archive, as an archive of its own."""

import pytest

from airflow_provider_atlas.artifacts.archive import RunFolder, record_path, run_path
from airflow_provider_atlas.artifacts.backends.folder_archive import FolderArchive
from airflow_provider_atlas.errors import ArchiveError, MissingError

RECORD = record_path("dag", "run:1", "step", "1.bundle.json")


@pytest.fixture
def archive(tmp_path):
    return FolderArchive(tmp_path)


@pytest.fixture
def run(archive):
    return RunFolder(archive, run_path("dag", "run:1"))


def test_what_one_keeps_the_other_gives(archive, run):
    run.put(RECORD[2:], b"content", private=True)
    assert archive.get(RECORD) == run.get(RECORD[2:]) == b"content"
    assert list(run.list(())) == ["tasks"]
    assert list(run.list(("tasks", "step"))) == ["1.bundle.json"]


def test_a_private_record_stays_private(run, tmp_path):
    run.put(("openings.json",), b"content", private=True)
    assert tmp_path.joinpath("dag", "run%3A1", "openings.json").stat().st_mode & 0o077 == 0


def test_another_run_is_out_of_reach(archive, run):
    archive.put(("dag", "run%3A2", "record"), b"content")
    with pytest.raises(ArchiveError):
        run.get(("..", "run%3A2", "record"))
    with pytest.raises(MissingError):
        run.get(("record",))


def test_blobs_are_kept_for_all_runs(archive, run):
    assert archive.get(("blobs", "sha256", run.put_blob(b"blob"))) == b"blob"
