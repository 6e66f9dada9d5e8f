"""``atlas tee helper`` and ``atlas tee simulate``: what they refuse, and a helper from its start to its end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import AttesterError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.wiring import tees

ME = os.geteuid()
PROGRAM = "import sys; from airflow_provider_atlas.cli.main import main; sys.exit(main())"


@contextmanager
def running(tmp_path: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run ``atlas tee helper`` with ``arguments`` in a process of its own, from the line that says it serves."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "tee", "helper", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path / "no-airflow")},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving simulated:"), process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_helper_serves_until_it_is_told_to_end(tmp_path: Path, ending: signal.Signals):
    place, uri = tmp_path / "tee.sock", f"simulated:{tmp_path / 'platform'}"
    attester = tees.attester(Settings.parse({"attester": f"helper:{place}"}, home="/"))
    with running(tmp_path, "--attester", uri, "--socket", place, "--allow-uid", ME) as process:
        assert attester.attest(bytes(64)).provider == "simulated"
        process.send_signal(ending)
        assert process.wait(20) == 0
    assert not place.exists()
    with pytest.raises(AttesterError, match="no attestation helper"):
        attester.attest(bytes(64))


def test_a_helper_takes_the_attester_of_the_settings_when_it_is_told_of_none(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__ATLAS__ATTESTER", f"simulated:{tmp_path / 'platform'}")
    place = tmp_path / "tee.sock"
    with running(tmp_path, "--socket", place, "--allow-uid", ME):
        assert place.is_socket()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--socket", "{0}/s", "--allow-uid", 1], "expected an attester that the helper can ask itself"),
        (["--socket", "{0}/s", "--attester", "helper:{0}/s", "--allow-uid", 1], "can ask itself"),
        (["--socket", "{0}/s", "--attester", "none:", "--allow-uid", 1], "can ask itself"),
        (["--socket", "{0}/s", "--attester", "nothing:", "--allow-uid", 1], "expected none: or one of"),
        (["--attester", "simulated:{0}/p", "--allow-uid", 1], "expected --socket, or a socket from systemd"),
        (["--socket", "{0}/s", "--attester", "simulated:{0}/p", "--allow-uid", -1], "each --allow-uid"),
        (["--socket", "{0}/s", "--attester", "simulated:{0}/p", "--allow-uid", 1, "--max-rate", 0], "--max-rate"),
        (["--socket", "{0}/s", "--attester", "simulated:{0}/p", "--allow-uid", 1, "--mode", "rw"], "--mode"),
        (["--socket", "{0}/s", "--attester", "simulated:{0}/p", "--allow-uid", 1, "--mode", "1000"], "--mode"),
        (["--socket", "{0}/s", "--attester", "simulated:{0}/p", "--allow-uid", 1, "--group", "no such"], "--group"),
        (["--socket", "{0}/no/s", "--attester", "simulated:{0}/p", "--allow-uid", 1], "cannot listen at"),
    ],
)
def test_a_helper_that_cannot_serve_says_why(atlas, tmp_path: Path, arguments: list[object], said: str):
    answer = atlas("tee", "helper", *(str(argument).format(tmp_path) for argument in arguments))
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


def test_a_helper_that_nobody_may_ask_is_a_usage_error(atlas, tmp_path: Path):
    assert atlas("tee", "helper", "--socket", tmp_path / "s", "--attester", "tsm:").code == 2


def test_a_helper_without_its_tee_cannot_decide(atlas, tmp_path: Path):
    answer = atlas("tee", "helper", "--socket", tmp_path / "s", "--attester", f"tsm:{tmp_path}/none", "--allow-uid", ME)
    assert answer.code == 3
    assert "expected configfs there" in answer.err
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--mount": "{0}/nothing"}, "to be an empty folder"),
        ({"--mount": "{0}/full"}, "to be an empty folder"),
        ({"--latency": "-1"}, "--latency"),
        ({"--latency": "nan"}, "--latency"),
        ({"--latency": "1e9"}, "--latency"),
    ],
)
def test_a_simulation_that_cannot_be_says_why(atlas, tmp_path: Path, change: dict[str, str], said: str):
    (tmp_path / "mount").mkdir()
    (tmp_path / "full" / "of").mkdir(parents=True)
    options = {"--mount": "{0}/mount", "--home": "{0}/home", **change}
    answer = atlas("tee", "simulate", *(word.format(tmp_path) for option in options.items() for word in option))
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


def test_mounting_without_its_library_says_what_to_install(atlas, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mfusepy", None)
    (tmp_path / "mount").mkdir()
    answer = atlas("tee", "simulate", "--mount", tmp_path / "mount", "--home", tmp_path / "home")
    assert answer.code == 2
    assert "install airflow-provider-atlas[fuse]" in answer.err


def test_the_doctor_tells_of_a_helper_that_is_away(atlas, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__ATLAS__ATTESTER", f"helper:{tmp_path}/tee.sock")
    answer = atlas("doctor", "--home", tmp_path, "--json")
    found = {check["name"]: check for check in answer.document["checks"]}
    assert not found["attester"]["ok"]
    assert "no attestation helper at" in found["attester"]["detail"]
