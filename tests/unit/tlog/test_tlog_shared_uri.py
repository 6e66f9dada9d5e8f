"""What names a log that many hosts share, and what is refused before anything is connected to."""

from pathlib import Path

import pytest

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tlog.backends.object_bucket import Bucket
from airflow_provider_atlas.tlog.backends.postgres import Database
from airflow_provider_atlas.tlog.backends.sources import open_source
from airflow_provider_atlas.wiring import logs


@pytest.mark.parametrize(
    "uri",
    [
        "s3:",
        "s3://",
        "s3:///prefix",
        "gs://bucket/prefix",
        "s3://bucket/prefix#fragment",
        "s3://bucket/prefix?access_key_id=x",
        "s3://bucket/prefix?endpoint",
        "s3://[bucket/prefix",
    ],
)
def test_what_names_no_bucket_is_refused(uri: str):
    with pytest.raises(ConfigError, match="expected the log to be s3://bucket/prefix"):
        Bucket(uri)


@pytest.mark.parametrize(
    "uri", ["s3://key:secret@bucket/prefix", "s3://bucket/prefix?endpoint=https://key:secret@host"]
)
def test_credentials_in_the_name_of_a_bucket_are_refused_and_not_told(uri: str):
    with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY") as refused:
        Bucket(uri)
    assert ":secret" not in str(refused.value)


@pytest.mark.parametrize(
    "uri", ["postgresql:", "postgres://host/db", "host=somewhere", "postgresql://host/db?nonsense=1"]
)
def test_what_names_no_database_is_refused(uri: str):
    with pytest.raises(ConfigError, match="expected the log to be"):
        Database(uri)


@pytest.mark.parametrize("uri", ["postgresql://user:hush@host/db", "postgresql://host/db?password=hush"])
def test_password_in_the_name_of_a_database_is_refused_and_not_told(uri: str):
    with pytest.raises(ConfigError, match="PGPASSWORD") as refused:
        Database(uri)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("uri", ["s3://bucket/prefix", "postgresql://host/db"])
def test_key_of_a_log_that_others_keep_is_refused(uri: str, tmp_path: Path):
    settings = Settings.parse({"log": uri, "log_key": "log+1+A"}, home=str(tmp_path))
    with pytest.raises(ConfigError, match="log_key is for"):
        logs.transparency_log(settings)


def test_place_of_a_bucket_is_told_without_its_options():
    source = open_source("s3://bucket/prefix?endpoint=https://s3.example&region=eu")
    assert source.place == "s3://bucket/prefix"


def test_place_of_a_database_is_told_without_its_user():
    assert Database("postgresql://someone@db.example:5433/logs").place == "postgresql://db.example/logs"
