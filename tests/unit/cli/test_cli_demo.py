"""The parts of ``atlas demo``: its folder, its Airflow, its tampering. The whole is tried in ``tests/airflow``."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_atlas.cli.demo_airflow import AirflowFailedError, _finish
from airflow_provider_atlas.cli.demo_folder import DAG_ID, DemoFolder, pipeline_folder
from airflow_provider_atlas.cli.demo_tampering import tamper
from airflow_provider_atlas.errors import ConfigError, MissingError
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.wiring import archives, runs
from tests.support.attested_run import AttestedRun, outcome_of


def test_a_folder_is_made_with_a_policy_that_trusts_what_it_will_attest_with(tmp_path):
    folder = DemoFolder(tmp_path / "new" / "demo")
    folder.prepare()
    policy = Policy.parse(folder.policy.read_bytes())
    assert [signer.name for signer in policy.signers] == ["demo"]
    assert policy.tee.required
    assert policy.start_required
    assert (folder.path / "tee").is_dir()


def test_a_folder_of_an_earlier_demo_is_emptied_of_what_that_made(tmp_path):
    folder = DemoFolder(tmp_path)
    folder.prepare()
    before = folder.policy.read_bytes()
    (folder.path / "archive").mkdir()
    (folder.path / "report.html").write_text("old")
    (folder.path / "notes.txt").write_text("mine")
    folder.prepare()
    assert folder.policy.read_bytes() != before  # other keys
    assert not (folder.path / "archive").exists()
    assert not (folder.path / "report.html").exists()
    assert (folder.path / "notes.txt").read_text() == "mine"


def test_a_folder_of_somebody_else_is_left_alone(atlas, tmp_path):
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "precious").write_text("keep")
    answer = atlas("demo", "--out", tmp_path)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == f"atlas: {tmp_path} is not empty, and no earlier demo: name another folder with --out\n"
    assert [path.name for path in tmp_path.rglob("*")] == ["archive", "precious"]


@pytest.mark.parametrize("path", ["/dev/null/demo", "/proc/demo"])
def test_a_folder_that_cannot_be_made_is_a_mistake(atlas, path):
    answer = atlas("demo", "--out", path)
    assert answer.code == 2
    assert answer.err.startswith(f"atlas: cannot write to {path}: ")


def test_a_path_that_airflow_cannot_spell_is_a_mistake(atlas, tmp_path):
    answer = atlas("demo", "--out", tmp_path / "50%")
    assert answer.code == 2
    assert "reads % in a path" in answer.err


def test_the_users_airflow_has_no_say_in_it(tmp_path):
    outside = {
        "AIRFLOW_HOME": "/theirs",
        "AIRFLOW__CORE__EXECUTOR": "Strange",
        "AIRFLOW__ATLAS__MODE": "off",
        "ATLAS_DEMO_DATA": "/theirs",
        "PATH": "/bin",
    }
    inside = DemoFolder(tmp_path).environment(outside)
    assert inside["AIRFLOW_HOME"] == f"{tmp_path}/airflow"
    assert inside["AIRFLOW__ATLAS__MODE"] == "enforce"
    assert inside["ATLAS_DEMO_DATA"] == f"{tmp_path}/data"
    assert inside["PATH"] == "/bin"
    assert "AIRFLOW__CORE__EXECUTOR" not in inside


def test_the_settings_of_the_demo_are_those_of_its_airflow(tmp_path):
    folder = DemoFolder(tmp_path)
    inside = folder.environment({})
    assert folder.settings.archive == f"file:{tmp_path}/archive"
    assert folder.settings.attester == inside["AIRFLOW__ATLAS__ATTESTER"] == f"simulated:{tmp_path}/tee"


def test_the_pipeline_is_found_beside_the_package():
    assert (pipeline_folder() / f"{DAG_ID}.py").is_file()


def test_an_airflow_that_fails_is_told_with_its_last_words(tmp_path):
    folder = DemoFolder(tmp_path)
    folder.prepare()
    with pytest.raises(AirflowFailedError, match="airflow no-such-command ended with 2") as caught:
        _finish(folder, ["no-such-command"], lambda: None)
    assert str(folder.log_file) in str(caught.value)
    assert "no-such-command" in "\n".join(caught.value.lines)


def test_no_run_is_no_run(tmp_path):
    with pytest.raises(MissingError, match="found 0"):
        DemoFolder(tmp_path).run()


def test_one_byte_of_a_digest_that_was_handed_on_is_changed_and_refused_by_its_signature(attested, tmp_path):
    before = {path: path.read_bytes() for path in attested.run_folder.rglob("*") if path.is_file()}
    tampering = tamper(attested.run_folder, tmp_path / "tampered")
    assert tampering.uri == attested.uri("table")
    assert [a == b for a, b in zip(tampering.before, tampering.after, strict=True)].count(False) == 1
    assert {path: path.read_bytes() for path in before} == before
    changed = [
        path.relative_to(attested.run_folder)
        for path, content in before.items()
        if (tampering.run / path.relative_to(attested.run_folder)).read_bytes() != content
    ]
    assert changed == [Path("tasks/ingest/1.bundle.json")]
    report = _verified(attested, tampering.run)
    assert report.failures[0].name == "signature"
    assert report.failures[0].subject == tampering.subject == "ingest try 1"


def _verified(attested, run):
    policy = Policy.parse(attested.policy_document())
    return runs.verify_run_folder(archives.open_run(str(run)), policy, at=datetime.now(UTC))


def test_a_run_that_hands_nothing_on_cannot_be_tampered_with(tmp_path):
    run = AttestedRun(tmp_path)
    run.record("ingest")
    with pytest.raises(MissingError, match="hand files on"):
        tamper(run.run_folder, tmp_path / "copy")
    assert outcome_of(run.verify())
    assert os.listdir(tmp_path / "copy")


def test_a_machine_without_scikit_learn_is_told_what_to_install():
    program = (
        "import sys, importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda name, package=None: None if name == 'sklearn' else find(name, package);"
        "from airflow_provider_atlas.cli.main import main; sys.exit(main(['demo', '--out', '/nowhere/demo']))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "the demo needs sklearn" in ended.stderr
    assert "pip install 'airflow-provider-atlas[demo]'" in ended.stderr
    assert ConfigError.__name__ not in ended.stderr
