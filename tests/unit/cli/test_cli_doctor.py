"""``atlas doctor``, and where it finds the settings: Airflow's, without Airflow."""

import pytest

from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.wiring import archives


@pytest.fixture
def machine(attested, monkeypatch):
    monkeypatch.setenv("AIRFLOW__ATLAS__DEPLOYMENT", attested.settings.deployment)
    monkeypatch.setenv("AIRFLOW__ATLAS__ATTESTER", attested.settings.attester)
    return attested


def parts(answer):
    return {check["name"]: (check["ok"], check["detail"]) for check in answer.document["checks"]}


def test_a_machine_that_attests_is_well(atlas, machine):
    answer = atlas("doctor", "--home", machine.folder, "--json")
    assert answer.code == 0
    found = parts(answer)
    assert list(found) == ["settings", "signer", "attester", "log", "archive", "spool", "policy"]
    assert machine.worker.sealer.signer.public_key.sha256 in found["signer"][1]
    assert found["attester"][1].startswith("simulated: proves nothing")
    assert all(line.startswith("ok ") for line in answer.err.splitlines())


def test_it_makes_nothing(atlas, tmp_path):
    answer = atlas("doctor", "--home", tmp_path / "new", "--json")
    assert answer.code == 0
    assert "will be made at its first use" in parts(answer)["log"][1]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("setting", "part", "said"),
    [
        (("MODE", "off"), "settings", "mode is off"),
        (("SIGNER", "file:/nowhere/task.pem"), "signer", "/nowhere/task.pem"),
        (("ATTESTER", "abacus:"), "attester", "abacus:"),
        (("LOG", "https://log.example.org"), "log", "https://log.example.org"),
        (("LOG_ORIGIN", "another/log"), "log", "another/log"),
        (("ARCHIVE", "file:/dev/null/archive"), "archive", "/dev/null"),
        (("POLICY", "/nowhere/policy.yaml"), "policy", "/nowhere/policy.yaml"),
    ],
)
def test_what_is_wrong_is_said_of_its_part(atlas, machine, monkeypatch, setting, part, said):
    monkeypatch.setenv(f"AIRFLOW__ATLAS__{setting[0]}", setting[1])
    answer = atlas("doctor", "--home", machine.folder, "--json")
    assert answer.code == 2
    well, detail = parts(answer)[part]
    assert not well
    assert said in detail
    assert f"problem  {part:<8}  {detail}" in answer.err.splitlines()


def test_records_that_wait_are_a_problem(atlas, tmp_path):
    archives.spool(Settings.parse({}, home=str(tmp_path))).put("one", b"record")
    answer = atlas("doctor", "--home", tmp_path)
    assert answer.code == 2
    assert "1 records wait" in answer.out
    assert "atlas log drain" in answer.out


def test_a_setting_that_does_not_exist_is_a_mistake(atlas, monkeypatch):
    monkeypatch.setenv("AIRFLOW__ATLAS__SINGER", "file:/x")
    answer = atlas("doctor")
    assert (answer.code, answer.out) == (2, "")
    assert "'singer'" in answer.err


def test_settings_come_from_airflow_cfg_and_the_environment_goes_first(atlas, monkeypatch, tmp_path):
    home = tmp_path / "no-airflow"
    home.mkdir()
    (home / "airflow.cfg").write_text("[core]\nx = %(y)s\n[atlas]\nmode = enforce\ndeployment = from-file\n")
    monkeypatch.setenv("AIRFLOW__ATLAS__DEPLOYMENT", "from-environment")
    _, detail = parts(atlas("doctor", "--json"))["settings"]
    assert detail == f"from-environment in {home}/atlas, mode enforce"


def test_airflow_config_names_the_file(atlas, monkeypatch, tmp_path):
    path = tmp_path / "other.cfg"
    path.write_text("[atlas]\nhome = /var/lib/atlas\n")
    monkeypatch.setenv("AIRFLOW_CONFIG", str(path))
    assert parts(atlas("doctor", "--json"))["settings"][1] == "airflow in /var/lib/atlas, mode observe"


def test_a_file_of_settings_that_cannot_be_read_is_a_mistake(atlas, monkeypatch, tmp_path):
    path = tmp_path / "airflow.cfg"
    path.write_text("no section\n")
    monkeypatch.setenv("AIRFLOW_CONFIG", str(path))
    answer = atlas("doctor")
    assert answer.code == 2
    assert answer.err == f"atlas: cannot read Airflow's settings in {path}\n"
