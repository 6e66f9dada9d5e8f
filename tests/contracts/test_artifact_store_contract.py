"""What holds for every artifact store. A backend joins with one line in ``STORES``."""

import hashlib

import pytest

from airflow_provider_atlas.artifacts.backends.file import FileStore
from airflow_provider_atlas.artifacts.manifest import Manifest, ManifestEntry
from airflow_provider_atlas.artifacts.uri import artifact_uri
from airflow_provider_atlas.errors import AttestingError, MissingError


class Files:
    """A FileStore, and how to put files where it reads them."""

    def __init__(self, folder):
        self.store = FileStore()
        self._folder = folder

    def uri(self, path):
        return artifact_uri(str(self._folder / path))

    def write(self, path, content):
        (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self._folder / path).write_bytes(content)


STORES = {"file": Files}
SIZES = [0, 1, 63, 64, 65, 4096, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3 * 1024 * 1024 + 7]


@pytest.fixture(params=STORES)
def place(request, tmp_path):
    return STORES[request.param](tmp_path)


def entry(path, content):
    return ManifestEntry(path=path, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


@pytest.mark.parametrize("size", SIZES)
def test_a_file_is_described_by_its_bytes(place, size):
    content = bytes(range(256)) * (size // 256 + 1)
    place.write("file.bin", content[:size])
    artifact = place.store.describe(place.uri("file.bin"))
    assert artifact.sha256 == hashlib.sha256(content[:size]).hexdigest()
    assert (artifact.size, artifact.kind, artifact.manifest) == (size, "file", None)


def test_the_uri_is_recorded_as_it_was_declared(place):
    place.write("a b ü.bin", b"content")
    assert place.store.describe(place.uri("a b ü.bin")).uri == place.uri("a b ü.bin")


def test_a_directory_is_described_by_the_manifest_of_its_files(place):
    files = {"a.txt": b"a", "z/b.bin": b"b" * 300_000, "z/y/c ü": b"", "z.txt": b"after z/"}
    for path, content in files.items():
        place.write(f"data/{path}", content)
    artifact = place.store.describe(place.uri("data"))
    assert artifact.manifest == Manifest.of(entry(path, content) for path, content in files.items())
    assert artifact.sha256 == hashlib.sha256(artifact.manifest.to_bytes()).hexdigest()
    assert (artifact.size, artifact.kind) == (sum(map(len, files.values())), "directory")


def test_the_same_files_at_another_place_have_the_same_digest(place):
    for folder, order in (("one", "abc"), ("other", "cba")):
        for name in order:
            place.write(f"{folder}/{name}/file", name.encode())
    one, other = (place.store.describe(place.uri(folder)) for folder in ("one", "other"))
    assert one.sha256 == other.sha256
    assert one.manifest == other.manifest


@pytest.mark.parametrize(
    ("path", "content"), [("a", b"X"), ("b", b"a"), ("sub/a", b"a"), ("c", b"")], ids=["byte", "name", "folder", "more"]
)
def test_any_change_in_a_directory_changes_its_digest(place, path, content):
    place.write("data/a", b"a")
    before = place.store.describe(place.uri("data")).sha256
    place.write(f"data/{path}", content)
    assert place.store.describe(place.uri("data")).sha256 != before


def test_a_file_and_a_directory_that_holds_it_have_different_digests(place):
    place.write("data/a", b"a")
    assert place.store.describe(place.uri("data")).sha256 != place.store.describe(place.uri("data/a")).sha256


@pytest.mark.parametrize("path", ["nothing", "file/below", "folder/nothing"])
def test_nothing_at_all_is_missing(place, path):
    place.write("file", b"")
    place.write("folder/file", b"")
    with pytest.raises(MissingError, match="nothing is at"):
        place.store.describe(place.uri(path))


@pytest.mark.parametrize("uri", ["", "relative", "nowhere://x", "no uri at all"])
def test_a_name_that_is_not_its_own_is_refused(place, uri):
    with pytest.raises(AttestingError):
        place.store.describe(uri)
