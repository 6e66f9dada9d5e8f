"""``atlas log monitor``: what a log showed before and what it shows now, over a folder and over HTTP."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.tile import Tile
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY, entries, open_log, served
from tests.support.witnesses import W1, W2, cosigned_by, policy_text

KINDS = ("folder", "http")


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A log of 300 entries, by the name that a monitor has for it; its files are in ``tmp_path / "log"``."""
    open_log(tmp_path / "log").append(entries(0, 300))
    if request.param == "folder":
        yield str(tmp_path / "log")
    else:
        with served(tmp_path / "log") as url:
            yield url


@pytest.fixture
def monitor(atlas, place: str, tmp_path: Path):
    return lambda *more: atlas("log", "monitor", place, "--key", KEY, "--state", tmp_path / "state", "--json", *more)


def kinds(answer) -> list[str]:
    return [alarm["kind"] for alarm in answer.document["alarms"]]


def test_a_log_that_grows_is_well(monitor, tmp_path: Path):
    for end in (300, 300, 301, 900):
        open_log(tmp_path / "log").append(entries(0, end))
        answer = monitor()
        assert (answer.code, answer.document["status"]) == (0, "ok")
    assert answer.document["shown"].split("\n")[:2] == [ORIGIN, "900"]
    assert answer.document["seen"].split("\n")[:2] == [ORIGIN, "301"]


def other_log(tmp_path: Path, *numbers: int) -> None:
    """Put another history in place of the log's, signed by the same key."""
    shutil.rmtree(tmp_path / "log")
    for number in numbers:
        open_log(tmp_path / "log").append([b"other %d" % entry for entry in range(number)])


@pytest.mark.parametrize(("size", "kind"), [(300, "fork"), (301, "fork"), (700, "fork"), (299, "rollback")])
def test_another_history_is_an_alarm_until_it_is_gone(monitor, tmp_path: Path, size: int, kind: str):
    shutil.copytree(tmp_path / "log", tmp_path / "kept")
    assert monitor().code == 0
    other_log(tmp_path, size)
    for _ in range(2):
        answer = monitor()
        assert (answer.code, answer.document["status"], kinds(answer)) == (1, "alarm", [kind])
        assert f"ALARM {kind}" in answer.err
    assert answer.document["seen"] != answer.document["shown"]  # together they are the proof
    shutil.rmtree(tmp_path / "log")
    shutil.copytree(tmp_path / "kept", tmp_path / "log")
    assert monitor().code == 0


def test_a_signature_that_is_not_the_logs_is_an_alarm(monitor, tmp_path: Path):
    assert monitor().code == 0
    path = tmp_path / "log" / "checkpoint"
    for content in (path.read_bytes().replace(b"\n300\n", b"\n301\n"), b"nothing", b""):
        path.chmod(0o644)
        path.write_bytes(content)
        answer = monitor()
        assert (answer.code, kinds(answer)) == (1, ["signature"])


def test_tiles_that_are_not_the_trees_are_an_alarm(monitor, tmp_path: Path):
    path = tmp_path / "log" / Tile(level=1, number=0, width=1).path
    path.write_bytes(bytes(32))
    answer = monitor()
    assert (answer.code, kinds(answer)) == (1, ["tiles"])
    path.write_bytes(b"short")
    assert kinds(monitor()) == ["tiles"]


def test_a_log_that_is_away_or_lacks_a_tile_decides_nothing(monitor, tmp_path: Path):
    (tmp_path / "log" / Tile(level=1, number=0, width=1).path).unlink()
    answer = monitor()
    assert (answer.code, answer.document["status"]) == (3, "unreachable")
    (tmp_path / "log" / "checkpoint").unlink()
    assert monitor().code == 3


def test_a_web_server_that_is_not_there_decides_nothing(atlas, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("airflow_provider_atlas.tlog.backends.sources._WAITS", (0.0,))
    answer = atlas("log", "monitor", "http://127.0.0.1:9/log", "--key", KEY, "--state", tmp_path / "state", "--json")
    assert (answer.code, answer.document["status"]) == (3, "unreachable")


def test_a_log_that_stands_still_becomes_stale(monitor, tmp_path: Path):
    assert monitor("--max-age", "3600").code == 0
    state = json.loads((tmp_path / "state").read_bytes())
    state["changed"] = "2020-01-01T00:00:00.000000Z"
    (tmp_path / "state").write_text(json.dumps(state, separators=(",", ":"), sort_keys=True, ensure_ascii=False))
    answer = monitor("--max-age", "3600")
    assert (answer.code, kinds(answer)) == (1, ["stale"])
    assert monitor().code == 0
    open_log(tmp_path / "log").append(entries(300, 301))
    assert monitor("--max-age", "3600").code == 0


def test_a_quorum_is_asked_for_and_its_time_counts(monitor, tmp_path: Path):
    policy, path = tmp_path / "policy", tmp_path / "log" / "checkpoint"
    policy.write_text(policy_text([W1, W2], 1))
    answer = monitor("--witnesses", policy)
    assert (answer.code, kinds(answer)) == (1, ["witnesses"])
    note = open_log(tmp_path / "log").reader.latest().note
    path.write_bytes(cosigned_by(note, W2, at=1_600_000_000).to_bytes())
    assert monitor("--witnesses", policy).code == 0
    answer = monitor("--witnesses", policy, "--max-age", "3600")
    assert (answer.code, kinds(answer)) == (1, ["stale"])
    assert "2020-09-13" in answer.document["alarms"][0]["detail"]


@pytest.mark.parametrize("content", [b"", b"{}", b"not json"])
def test_a_state_that_is_none_is_a_mistake_and_is_kept(monitor, tmp_path: Path, content: bytes):
    (tmp_path / "state").write_bytes(content)
    assert monitor().code == 2
    assert (tmp_path / "state").read_bytes() == content


def test_a_state_of_another_log_is_a_mistake(atlas, place: str, tmp_path: Path):
    other = VerifierKey.of("other.example", SIGNING_KEY)
    assert atlas("log", "monitor", place, "--key", KEY, "--state", tmp_path / "state").code == 0
    assert atlas("log", "monitor", place, "--key", other, "--state", tmp_path / "state").code == 2


def test_a_policy_that_is_none_is_a_mistake(monitor, tmp_path: Path):
    (tmp_path / "policy").write_text("quorum nobody\n")
    assert monitor("--witnesses", tmp_path / "policy").code == 2
    assert monitor("--witnesses", tmp_path / "missing").code == 2
