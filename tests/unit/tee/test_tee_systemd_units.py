"""The units of the attestation helper: what they start is a command of ours, at the socket that the settings name."""

import configparser
from pathlib import Path

from airflow_provider_atlas.cli.main import main

UNITS = Path(__file__).parents[3] / "docker" / "systemd"


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string((UNITS / name).read_text())
    return parser


def test_the_service_starts_a_command_that_there_is(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    _, *arguments = unit("atlas-tee-helper.service")["Service"]["ExecStart"].split()
    assert arguments[:2] == ["tee", "helper"]
    assert "--socket" not in arguments, "systemd passes it"
    # Where there is no configfs it gets as far as to say so: its arguments are understood.
    arguments[arguments.index("tsm:")] = f"tsm:{tmp_path}/none"
    assert main(arguments) == 3
    assert "expected configfs there" in capsys.readouterr().err


def test_the_service_may_write_to_configfs():
    service = unit("atlas-tee-helper.service")["Service"]
    assert service["ReadWritePaths"] == "/sys/kernel/config"
    assert "ProtectKernelTunables" not in service


def test_the_socket_is_a_stream_of_the_unix_family():
    socket = unit("atlas-tee-helper.socket")["Socket"]
    assert socket["ListenStream"] == "/run/atlas/tee.sock"
    assert unit("atlas-tee-helper.service")["Unit"]["Requires"] == "atlas-tee-helper.socket"
