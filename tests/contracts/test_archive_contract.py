"""What holds for every archive. A backend joins with one line in ``ARCHIVES``."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.artifacts.archive import MAX_RECORD, path_segment, record_path
from airflow_provider_atlas.artifacts.backends.folder_archive import FolderArchive
from airflow_provider_atlas.errors import ArchiveError, MissingError

ARCHIVES = {"folder": lambda folder: FolderArchive(folder / "archive")}
RECORD = record_path("dag", "manual__2026-01-31T12:00:00+00:00", "train[0]", "1.bundle.json")


@pytest.fixture(params=ARCHIVES)
def archive(request, tmp_path):
    return ARCHIVES[request.param](tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", bytes(range(256)) * 500], ids=len)
@pytest.mark.parametrize("private", [False, True])
def test_what_is_kept_is_given_back(archive, content, private):
    archive.put(RECORD, content, private=private)
    assert archive.get(RECORD) == content


def test_the_same_bytes_are_kept_as_often_as_one_likes(archive):
    for private in (False, False, True):
        archive.put(RECORD, b"content", private=private)
    assert archive.get(RECORD) == b"content"


@pytest.mark.parametrize("other", [b"", b"contenu", b"content!"])
def test_a_record_is_never_replaced(archive, other):
    archive.put(RECORD, b"content")
    with pytest.raises(ArchiveError, match="never replaced"):
        archive.put(RECORD, other)
    assert archive.get(RECORD) == b"content"


@pytest.mark.parametrize("path", [RECORD, RECORD[:-1], (), ("nothing",), (*RECORD, "below")])
def test_what_was_never_kept_is_missing(archive, path):
    with pytest.raises(MissingError):
        archive.get(path)
    assert list(archive.list(path)) == []


def test_what_lies_above_or_below_a_record_is_missing(archive):
    archive.put(RECORD, b"content")
    for path in ((*RECORD, "below"), RECORD[:-1], ()):
        with pytest.raises(MissingError):
            archive.get(path)
    assert list(archive.list(RECORD)) == []


def test_a_record_does_not_become_a_folder(archive):
    archive.put(("a",), b"content")
    with pytest.raises(ArchiveError):
        archive.put(("a", "b"), b"content")
    assert archive.get(("a",)) == b"content"


def test_segments_are_listed_in_order_and_lead_on(archive):
    for step in ("b", "a[1]", ".hidden", "a" * 300):
        archive.put(record_path("dag", "run:1", step, "1.bundle.json"), step.encode())
    archive.put(("dag", "run%3A1", "manifest.bundle.json"), b"")
    assert list(archive.list(())) == ["dag"]
    assert list(archive.list(("dag", "run%3A1"))) == ["manifest.bundle.json", "tasks"]
    steps = archive.list(("dag", "run%3A1", "tasks"))
    assert list(steps) == sorted(map(path_segment, ("b", "a[1]", ".hidden", "a" * 300)))
    found = {archive.get(("dag", "run%3A1", "tasks", step, "1.bundle.json")) for step in steps}
    assert found == {b"b", b"a[1]", b".hidden", b"a" * 300}


def test_a_blob_is_kept_by_its_digest(archive):
    digest = archive.put_blob(b"blob")
    assert digest == hashlib.sha256(b"blob").hexdigest()
    assert archive.put_blob(b"blob") == digest
    assert archive.get(("blobs", "sha256", digest)) == b"blob"


def test_a_blob_that_was_spoiled_is_noticed_and_not_replaced(archive):
    archive.put(("blobs", "sha256", hashlib.sha256(b"blob").hexdigest()), b"spoiled")
    with pytest.raises(ArchiveError):
        archive.put_blob(b"blob")


@pytest.mark.parametrize(
    "path",
    [
        ("..", "x"),
        (".",),
        ("",),
        ("a/b",),
        ("a", "../../x"),
        ("a\\b",),
        ("a\0",),
        (".hidden",),
        ("/etc",),
        ("é",),
        "abc",
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(archive, path):
    for use in (lambda: archive.put(path, b""), lambda: archive.get(path), lambda: archive.list(path)):
        with pytest.raises(ArchiveError, match="segments"):
            use()


def test_nothing_is_kept_at_the_archive_itself(archive):
    with pytest.raises(ArchiveError):
        archive.put((), b"content")


def test_a_record_that_could_not_be_read_again_is_not_kept(archive):
    content = bytes(MAX_RECORD + 1)
    with pytest.raises(ArchiveError, match=str(MAX_RECORD)):
        archive.put(RECORD, content)
    archive.put(RECORD, content[1:])
    assert len(archive.get(RECORD)) == MAX_RECORD


@pytest.mark.parametrize("name", ARCHIVES)
@given(names=st.lists(st.text(st.characters(), max_size=40), min_size=1, max_size=3), content=st.binary(max_size=50))
def test_any_names_at_all_lead_to_their_record(name, tmp_path_factory, names, content):
    archive = ARCHIVES[name](tmp_path_factory.mktemp("archive"))
    path = tuple(map(path_segment, names))
    archive.put(path, content)
    assert archive.get(path) == content
    assert list(archive.list(path[:-1])) == [path[-1]]


def test_of_many_writers_with_the_same_bytes_all_succeed(archive):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: archive.put(RECORD, b"content" * 1000), range(64)))
    assert archive.get(RECORD) == b"content" * 1000
    assert list(archive.list(RECORD[:-1])) == [RECORD[-1]]


def test_of_many_writers_with_their_own_bytes_one_wins(archive):
    def put(number):
        try:
            archive.put(RECORD, b"%d" % number * 1000)
        except ArchiveError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(put, range(64)) if number is not None]
    assert len(winners) == 1
    assert archive.get(RECORD) == b"%d" % winners[0] * 1000
