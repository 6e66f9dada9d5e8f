"""Manifests: their bytes, and which bytes are none."""

import hashlib
import json

import pytest
import rfc8785

from airflow_provider_atlas.artifacts.manifest import MAX_ENTRIES, MAX_SIZE, Manifest, ManifestEntry
from airflow_provider_atlas.errors import MalformedError

DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def entry(path="a", sha256=DIGEST, size=4):
    return ManifestEntry(path=path, sha256=sha256, size=size)


def spelled(*entries, **members):
    return rfc8785.dumps({"entries": list(entries), "v": 1} | members)


def plain(path="a", **changes):
    return {"path": path, "sha256": DIGEST, "size": 4} | changes


def test_the_bytes_of_a_manifest_are_as_documented():
    manifest = Manifest.of([entry("b/ü", size=0), entry("a.txt")])
    entries = f'[{{"path":"a.txt","sha256":"{DIGEST}","size":4}},{{"path":"b/ü","sha256":"{DIGEST}","size":0}}]'
    expected = f'{{"entries":{entries},"v":1}}'.encode()
    assert manifest.to_bytes() == expected
    assert manifest.sha256 == hashlib.sha256(expected).hexdigest()
    assert manifest.size == 4


def test_a_directory_without_files_has_a_manifest_too():
    assert Manifest.of([]).to_bytes() == b'{"entries":[],"v":1}'
    assert Manifest.parse(b'{"entries":[],"v":1}').size == 0


def test_paths_are_sorted_by_their_utf_8_and_not_by_their_utf_16():
    # U+FF5E sorts after U+1F600 as UTF-16 and before it as UTF-8, which is the order of code points.
    assert [each.path for each in Manifest.of([entry("\U0001f600"), entry("\uff5e")]).entries] == [
        "\uff5e",
        "\U0001f600",
    ]


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "/a", "a/", "a//b", "a/./b", "a/../b", "../a", "a\0b", "\ud800", "a" * 4097, "ü" * 2049],
)
def test_a_path_that_is_not_plainly_inside_is_refused(path):
    with pytest.raises(MalformedError):
        entry(path)


@pytest.mark.parametrize("path", ["a", "...", ".a", "a\\b", "a\nb", "a b", "%2e%2e", "~", "a" * 4096, "é", "e\u0301"])
def test_a_path_that_a_file_can_have_is_kept_as_it_is(path):
    assert Manifest.parse(Manifest.of([entry(path)]).to_bytes()).entries[0].path == path


@pytest.mark.parametrize("digest", ["", DIGEST[:-1], DIGEST.upper(), DIGEST + "00", "g" * 64])
def test_a_digest_in_another_spelling_is_refused(digest):
    with pytest.raises(MalformedError):
        entry(sha256=digest)


@pytest.mark.parametrize("size", [-1, 2**53])
def test_a_size_that_json_cannot_carry_is_refused(size):
    with pytest.raises(MalformedError):
        entry(size=size)


@pytest.mark.parametrize(
    "entries",
    [
        [entry("a"), entry("a")],
        [entry("a"), entry("a/b")],
        [entry("a"), entry("a-b"), entry("a/b/c")],
        [entry("a/b"), entry("a/b/c/d/e")],
    ],
    ids=["twice", "file and directory", "not next to each other", "deep"],
)
def test_what_no_directory_can_hold_is_refused(entries):
    with pytest.raises(MalformedError):
        Manifest.of(entries)


def test_unsorted_entries_are_refused():
    with pytest.raises(MalformedError, match="sorted"):
        Manifest(entries=(entry("b"), entry("a")))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        spelled(plain(), v=2),
        spelled(plain(), v=True),
        spelled(plain(), v="1"),
        spelled(plain("b"), plain("a")),
        spelled(plain(), plain()),
        spelled(plain(mode=420)),
        spelled(plain(size="4")),
        spelled(plain(size=True)),
        spelled(plain(size=None)),
        spelled(plain(size=4.5)),
        spelled(plain(sha256=None)),
        spelled(plain(), more=1),
        spelled("a"),
        spelled(entries={}),
        b'{"v":1}',
        b'{"entries":[]}',
        b' {"entries":[],"v":1}',
        b'{"entries":[],"v":1}\n',
        b'{"v":1,"entries":[]}',
        b'{"entries":[],"entries":[],"v":1}',
        json.dumps({"entries": [plain("ü")], "v": 1}, separators=(",", ":")).encode(),
        b'{"entries":[{"path":"\\ud800","sha256":"' + DIGEST.encode() + b'","size":4}],"v":1}',
        b"[" * 100_000,
    ],
)
def test_other_bytes_are_malformed(data):
    with pytest.raises(MalformedError):
        Manifest.parse(data)


def test_a_manifest_that_is_too_large_is_refused_before_it_is_read():
    with pytest.raises(MalformedError, match=str(MAX_SIZE)):
        Manifest.parse(b" " * (MAX_SIZE + 1))


def test_a_manifest_of_too_many_files_is_refused():
    with pytest.raises(MalformedError, match=str(MAX_ENTRIES)):
        Manifest(entries=(entry(),) * (MAX_ENTRIES + 1))


def test_a_manifest_that_would_be_too_large_is_not_written():
    folder = "/".join(["d" * 200] * 15)
    with pytest.raises(MalformedError, match=str(MAX_SIZE)):
        Manifest.of(entry(f"{folder}/{number}") for number in range(22_000)).to_bytes()
