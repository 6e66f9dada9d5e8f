"""What holds for every artifact name, manifest and path segment."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.artifacts.archive import is_segment, path_segment
from airflow_provider_atlas.artifacts.manifest import Manifest, ManifestEntry
from airflow_provider_atlas.artifacts.uri import artifact_uri, file_path
from airflow_provider_atlas.errors import ConfigError, MalformedError

ANY_TEXT = st.text(st.characters(), max_size=300)  # surrogates, controls, zero bytes
ODD_TEXT = st.text("a%~./\\[é€😀\ud800\udfff\udc80 \n", max_size=200)
NAMES = st.one_of(ANY_TEXT, ODD_TEXT)

FILE_NAMES = st.binary(min_size=1, max_size=20).filter(
    lambda name: not {0x00, 0x2F} & {*name} and name not in (b".", b"..")
)
PATHS = st.lists(FILE_NAMES, max_size=5).map(lambda names: b"/" + b"/".join(names))

ENTRIES = st.lists(
    st.builds(
        ManifestEntry,
        path=st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=8).filter(
                lambda name: name not in (".", "..")
            ),
            min_size=1,
            max_size=4,
        ).map("/".join),
        sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
        size=st.integers(0, 2**53 - 1),
    ),
    max_size=12,
    unique_by=lambda entry: entry.path,
).filter(lambda entries: not any(a.path.startswith(b.path + "/") for a in entries for b in entries))


def spellings(byte):
    """Return the ways to spell a byte of a file's name in a URI."""
    literal = [chr(byte)] if chr(byte) in "abcXYZ019-._~!$&'()*+,;=:@" else []
    return st.sampled_from([*literal, f"%{byte:02x}", f"%{byte:02X}"])


@given(NAMES)
def test_a_segment_is_a_legal_name_of_one_file(name):
    segment = path_segment(name)
    assert is_segment(segment)
    assert 1 <= len(segment.encode("ascii")) <= 255
    assert segment not in (".", "..")
    assert not {"/", "\\", "\0", " ", ":"} & {*segment}


@given(NAMES, NAMES)
def test_distinct_names_have_distinct_segments(one, other):
    assert (path_segment(one) == path_segment(other)) == (one == other)


@given(st.text("ab.", min_size=155, max_size=165), st.text("ab~0", max_size=40))
def test_names_that_differ_only_far_out_have_distinct_segments(start, tail):
    assert (path_segment(start) == path_segment(start + tail)) == (not tail)


@given(NAMES)
def test_no_name_takes_the_segment_of_a_longer_one(name):
    long = path_segment(name + "x" * 200)
    assert path_segment(long) != long


@given(ENTRIES)
def test_a_manifest_survives_the_round_trip(entries):
    manifest = Manifest.of(entries)
    assert Manifest.parse(manifest.to_bytes()) == manifest
    assert Manifest.parse(manifest.to_bytes()).sha256 == manifest.sha256


@given(ENTRIES, st.randoms())
def test_a_manifest_does_not_depend_on_the_order_in_which_files_are_found(entries, random):
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert Manifest.of(shuffled).to_bytes() == Manifest.of(entries).to_bytes()


@given(ENTRIES)
def test_entries_of_a_manifest_are_sorted_by_the_bytes_of_their_paths(entries):
    paths = [entry.path.encode() for entry in Manifest.of(entries).entries]
    assert paths == sorted(paths)


@given(ENTRIES.filter(bool), st.data())
def test_a_manifest_with_one_change_is_another_or_none(entries, data):
    original = Manifest.of(entries).to_bytes()
    position = data.draw(st.integers(0, len(original) - 1))
    changed = (
        original[:position] + bytes([original[position] ^ data.draw(st.integers(1, 255))]) + original[position + 1 :]
    )
    with suppress(MalformedError):
        assert Manifest.parse(changed).to_bytes() == changed != original


@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_malformed(data):
    with suppress(MalformedError):
        assert Manifest.parse(data).to_bytes() == data


@given(PATHS)
def test_every_path_has_one_uri_that_leads_back(path):
    text = path.decode("utf-8", "surrogateescape")
    uri = artifact_uri(text)
    assert uri.isascii()
    assert file_path(uri) == text
    assert artifact_uri(uri) == uri


@given(PATHS, PATHS)
def test_distinct_files_have_distinct_uris(one, other):
    uris = [artifact_uri(path.decode("utf-8", "surrogateescape")) for path in (one, other)]
    assert (uris[0] == uris[1]) == (one == other)


@given(PATHS, st.data())
def test_every_other_spelling_of_a_file_becomes_the_one(path, data):
    uri = artifact_uri(path.decode("utf-8", "surrogateescape"))
    slash = data.draw(st.sampled_from(["/", "//", "/./"]))
    spelled = "".join(slash if byte == 0x2F else data.draw(spellings(byte)) for byte in path)
    start = data.draw(st.sampled_from(["file://", "FILE://", "file://localhost", "File://LocalHost"]))
    other = start + spelled if slash != "/" else data.draw(st.sampled_from([start + spelled, "file:" + spelled]))
    assert artifact_uri(other) == uri
    if other != uri:
        with pytest.raises(MalformedError):
            file_path(other)


@given(
    st.one_of(
        ANY_TEXT, st.text("file:/%20.aß?#@[]\\\0", max_size=40), st.text("s3:/%2fA@?", max_size=30).map("s3://".__add__)
    )
)
def test_any_text_is_a_uri_with_one_spelling_or_refused(text):
    try:
        uri = artifact_uri(text)
    except ConfigError:
        with pytest.raises(MalformedError):
            file_path(text)
    else:
        assert artifact_uri(uri) == uri
        assert uri.isascii()
        assert not {" ", "\\", "\n", "\0"} & {*uri}
