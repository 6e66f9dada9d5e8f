"""Names of artifacts: what is accepted, what it becomes, and what is refused."""

import pytest

from airflow_provider_atlas.artifacts.uri import artifact_uri, file_path
from airflow_provider_atlas.errors import ConfigError, MalformedError


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("/data/table.csv", "file:///data/table.csv"),
        ("file:/data/table.csv", "file:///data/table.csv"),
        ("file:///data/table.csv", "file:///data/table.csv"),
        ("file://localhost/data/table.csv", "file:///data/table.csv"),
        ("FILE://LOCALHOST/data/table.csv", "file:///data/table.csv"),
        ("/data//a/./b/", "file:///data/a/b"),
        ("file:///data//a/%2e/b/", "file:///data/a/b"),
        ("/a b/ü%", "file:///a%20b/%C3%BC%25"),
        ("file:///a%20b/%c3%bc%25", "file:///a%20b/%C3%BC%25"),
        ("file:///a=b%41~", "file:///a%3DbA~"),
        ("/not-utf-8-\udcff", "file:///not-utf-8-%FF"),
        ("/...", "file:///..."),
        ("/", "file:///"),
        ("S3://Bucket/Key%20a?b#c", "s3://Bucket/Key%20a?b#c"),
        ("s3://connection@bucket/key", "s3://connection@bucket/key"),
        ("urn:atlas:run:1", "urn:atlas:run:1"),
        ("https://example.org:8080/a@b:c", "https://example.org:8080/a@b:c"),
    ],
)
def test_an_artifact_has_one_name(name, uri):
    assert artifact_uri(name) == uri


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "absolute path"),
        ("data/table.csv", "absolute path"),
        ("./table.csv", "absolute path"),
        ("~/table.csv", "absolute path"),
        ("C:/data", "absolute path"),
        ("c:\\data", "absolute path"),
        ("s3:", "absolute path"),
        ("s3://bucket/a b", "percent-encodes"),
        ("s3://bucket/%zz", "percent-encodes"),
        ("s3://bucket/%4", "percent-encodes"),
        ("s3://bucket/ü", "percent-encodes"),
        ("s3://bucket/a\n", "percent-encodes"),
        ("file:table.csv", "on this host"),
        ("file:", "absolute path"),
        ("file://", "on this host"),
        ("file://localhost", "on this host"),
        ("file://elsewhere/data", "on this host"),
        ("file://localhost:80/data", "on this host"),
        ("file:///data?version=1", "on this host"),
        ("file:///data#part", "on this host"),
        ("file:///data/a b", "percent-encodes"),
        ("file:///data%2Ftable", "encoded slash"),
        ("file:///data%2ftable", "encoded slash"),
        ("/data/../etc/passwd", "symbolic links"),
        ("file:///data/%2e%2E/etc", "symbolic links"),
        ("/data/..", "symbolic links"),
        ("/a\0b", "zero byte"),
        ("file:///a%00b", "zero byte"),
        ("/\ud800", "UTF-8"),
        ("/" + "a" * 20_000, "at most"),
    ],
)
def test_a_name_that_could_mean_something_else_is_refused(name, expected):
    with pytest.raises(ConfigError, match=expected):
        artifact_uri(name)


@pytest.mark.parametrize(
    "uri", ["https://user:hunter2@host/x", "s3://key:hunter2@bucket", "file://u:hunter2@localhost/x"]
)
def test_a_password_is_refused_and_not_repeated(uri):
    with pytest.raises(ConfigError, match="without a password") as refusal:
        artifact_uri(uri)
    assert "hunter2" not in str(refusal.value)


def test_a_path_leads_back_to_its_bytes():
    assert file_path("file:///a%20b/%FF") == "/a b/\udcff"
    assert file_path("file:///") == "/"


@pytest.mark.parametrize(
    "uri",
    ["/data", "file:/data", "file:///data/", "file:///a=b", "file:///%41", "file:///%c3%bc", "s3://bucket/key", ""],
)
def test_a_path_is_taken_from_the_one_spelling_only(uri):
    with pytest.raises(MalformedError):
        file_path(uri)
