"""Path segments: how names are spelled, and what an archive takes for one."""

import hashlib

import pytest

from airflow_provider_atlas.artifacts.archive import is_segment, path_segment, record_path, run_path


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("train", "train"),
        ("train[0]", "train[0]"),
        ("group.task", "group.task"),
        ("manual__2026-01-31T12:00:00+00:00", "manual__2026-01-31T12%3A00%3A00+00%3A00"),
        (".", "%2E"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("", "%"),
        ("%", "%25"),
        ("\0", "%00"),
        ("a/b\\c", "a%2Fb%5Cc"),
        ("~", "%7E"),
        ("ü", "%C3%BC"),
        ("\ud800", "%ED%A0%80"),
        ("a" * 160, "a" * 160),
    ],
)
def test_a_name_becomes_one_segment(name, segment):
    assert path_segment(name) == segment


def test_a_long_name_ends_in_its_digest():
    name = "a" * 161
    assert path_segment(name) == "a" * 160 + "~" + hashlib.sha256(name.encode()).hexdigest()[:32]


@pytest.mark.parametrize(
    "text", ["", ".", "..", ".a", "a/b", "a\\b", "a b", "a:b", "ü", "a\n", "a\0", "a" * 201, "\udcff"]
)
def test_what_is_no_segment(text):
    assert not is_segment(text)


@pytest.mark.parametrize("text", ["a", "1.bundle.json", "train[0]", "%2E.", "%", "a" * 200, "blobs", "pipeline.json"])
def test_what_is_a_segment(text):
    assert is_segment(text)


def test_records_lie_in_the_folder_of_their_run():
    assert run_path("dag", "run:1") == ("dag", "run%3A1")
    assert record_path("dag", "run:1", "step.2", "1.bundle.json") == (
        "dag",
        "run%3A1",
        "tasks",
        "step.2",
        "1.bundle.json",
    )
