"""The [atlas] section: complete, frozen, and no key that means nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.get_provider_info import get_provider_info
from airflow_provider_atlas.settings import DEFAULTS, SETTING_NAMES, Settings, path_of


def test_nothing_set_is_a_working_deployment_without_a_tee() -> None:
    settings = Settings.parse({}, home="/srv/atlas")
    assert settings.mode == "observe"
    assert settings.attester == "none:"
    assert settings.signer == "file:/srv/atlas/keys/task.pem"
    assert settings.log == "posix:/srv/atlas/log"
    assert settings.made_keys == {"signer", "log_signer"}


def test_a_key_that_was_named_is_never_made() -> None:
    settings = Settings.parse({"signer": "file:/etc/atlas/task.pem"}, home="/srv/atlas")
    assert settings.made_keys == {"log_signer"}


@given(st.text(min_size=1).filter(lambda key: key not in DEFAULTS))
def test_an_unknown_setting_is_refused_by_name(key: str) -> None:
    with pytest.raises(ConfigError, match="has no setting"):
        Settings.parse({key: "x"}, home="/srv")


@given(st.text(min_size=1).filter(lambda mode: mode.strip() not in ("", "observe", "enforce", "off")))
def test_another_mode_is_refused(mode: str) -> None:
    with pytest.raises(ConfigError, match="observe, enforce or off"):
        Settings.parse({"mode": mode}, home="/srv")


def test_a_log_waits_for_its_witnesses_unless_it_is_told_not_to() -> None:
    assert Settings.parse({}, home="/srv").log_witness_failure == "closed"
    assert Settings.parse({"log_witness_failure": "open"}, home="/srv").log_witness_failure == "open"
    with pytest.raises(ConfigError, match="open or closed"):
        Settings.parse({"log_witness_failure": "ajar"}, home="/srv")


def test_a_log_signs_at_once_unless_it_is_told_to_wait() -> None:
    assert Settings.parse({}, home="/srv").log_integration == "sync"
    assert Settings.parse({"log_integration": "deferred"}, home="/srv").log_integration == "deferred"
    with pytest.raises(ConfigError, match="sync or deferred"):
        Settings.parse({"log_integration": "never"}, home="/srv")


@pytest.mark.parametrize(
    ("other", "reason"),
    [({"mode": "enforce"}, "receipts at once"), ({"log": "rekor-v2:https://log.example"}, "posix log")],
)
def test_a_log_that_signs_later_is_refused_where_a_receipt_is_owed_at_once(other, reason) -> None:
    with pytest.raises(ConfigError, match=reason):
        Settings.parse({"log_integration": "deferred", **other}, home="/srv")


@pytest.mark.parametrize("uri", ["file:relative", "s3:/x", "/plain/path", "file:", ""])
def test_a_uri_of_another_scheme_or_a_relative_path_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"\[atlas\] signer"):
        path_of(uri, "file", "signer")


def test_a_relative_home_is_refused() -> None:
    with pytest.raises(ConfigError, match="absolute"):
        Settings.parse({"home": "atlas"}, home="/srv")


def test_the_origin_of_a_log_that_others_keep_is_the_name_of_its_key() -> None:
    key = "log.example/atlas+0102abcd+AAAA"
    assert Settings.parse({"log_key": key}, home="/srv").log_origin == "log.example/atlas"
    assert Settings.parse({"log_key": key, "log_origin": "other"}, home="/srv").log_origin == "other"
    assert Settings.parse({"deployment": "prod"}, home="/srv").log_origin == "localhost/prod"


@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("false", False), ("False", False)])
def test_whether_a_public_log_is_meant_is_spelled_as_airflow_does(text: str, value: bool) -> None:
    assert Settings.parse({"allow_public_log": text}, home="/srv").allow_public_log is value


@pytest.mark.parametrize("text", ["yes", "1", "on", "wahr"])
def test_whether_a_public_log_is_meant_is_never_guessed(text: str) -> None:
    with pytest.raises(ConfigError, match="allow_public_log is true or false"):
        Settings.parse({"allow_public_log": text}, home="/srv")


def test_airflow_is_told_of_every_setting_and_its_default() -> None:
    config = get_provider_info()["config"]
    assert isinstance(config, dict)
    options = config["atlas"]["options"]
    assert {name: option["default"] for name, option in options.items()} == DEFAULTS
    assert set(options) == SETTING_NAMES


@pytest.mark.parametrize(
    ("mode", "attester", "complaint"),
    [
        ("boot", "tsm:", "task, session or batch"),
        ("session", "none:", "needs an attester"),
        ("batch", "none:", "needs an attester"),
        ("batch", "tsm:", "set attester to helper:"),
    ],
)
def test_a_mode_in_which_no_record_could_be_made_is_refused(mode: str, attester: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Settings.parse({"attester_mode": mode, "attester": attester}, home="/srv")


@pytest.mark.parametrize("mode", ["session", "batch"])
def test_a_mode_may_be_asked_for(mode: str) -> None:
    assert Settings.parse({"attester_mode": mode, "attester": "helper:/run/x"}, home="/srv").attester_mode == mode
    assert Settings.parse({}, home="/srv").attester_mode == "task"
