"""``atlas demo`` as people run it: a real Airflow, the example pipeline, and what is left of it afterwards."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import joblib
import jsonschema
import pytest

from airflow_provider_atlas.verify.records import load_run
from airflow_provider_atlas.wiring import archives

ROOT = Path(__file__).parents[2]


def atlas(*arguments):
    program = "import sys; from airflow_provider_atlas.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The answer and the document of one demonstration, in a folder whose name needs care."""
    answer = atlas("demo", "--out", tmp_path_factory.mktemp("demo") / "a demo", "--json")
    assert answer.returncode == 0, answer.stderr
    return answer, json.loads(answer.stdout)


@pytest.fixture(scope="module")
def records(demo):
    return {record.link.name: record for record in load_run(archives.open_run(demo[1]["run"])).records}


def test_the_run_passed_and_its_tampered_copy_was_refused_at_the_signature(demo):
    _, document = demo
    assert (document["verdict"], document["development"]) == ("passed", True)
    assert document["tampered"]["verdict"] == "failed"
    assert document["tampered"]["check"] == "signature"
    assert document["tampered"]["record"] == "ingest try 1"
    assert document["records"] == 12
    assert document["log_size"] == 12 * 4 + 1  # start, link, provenance and quote of each task, and the manifest


def test_people_are_told_of_each_task_of_the_verdict_and_of_the_refusal(demo):
    answer, document = demo
    lines = answer.stderr.splitlines()
    told = [line.split()[1] for line in lines if line.startswith("   success ")]
    assert set(told) >= {"requirements", "train[0]", "train[3]", "verify"}
    assert told.index("ingest") < told.index("split") < told.index("evaluate") < told.index("publish")
    assert any("PASSED IN DEVELOPMENT" in line for line in lines)
    assert any("question 1, signature, of ingest try 1" in line for line in lines)
    assert lines[-1].endswith(document["html"])


def test_the_report_is_there_for_machines_and_for_people(demo):
    _, document = demo
    report = json.loads(Path(document["report"]).read_bytes())
    jsonschema.validate(report, json.loads((ROOT / "docs" / "report.schema.json").read_text()))
    assert report["verdict"] == "passed"
    assert "atlas_ml_pipeline" in Path(document["html"]).read_text()


def test_anyone_can_verify_it_again_with_the_policy(demo):
    _, document = demo
    answer = atlas("verify", document["run"], "--policy", document["policy"], "--json")
    assert answer.returncode == 0
    assert json.loads(answer.stdout)["checks"] == json.loads(Path(document["report"]).read_bytes())["checks"]
    tampered = atlas("verify", Path(document["folder"]) / "tampered", "--policy", document["policy"])
    assert tampered.returncode == 1


def test_every_kind_of_task_is_recorded_whether_or_not_it_knows_of_atlas(records):
    assert set(records) == {
        *("ingest", "validate", "split", "evaluate", "requirements", "package", "verify", "publish"),
        *(f"train[{index}]" for index in range(4)),
    }
    assert len(records["split"].link.products) == 2
    assert len(records["evaluate"].link.inputs) == 5
    assert records["evaluate"].link.outcome.metrics["accuracy"] > 0.9
    assert records["train[0]"].link.outcome.kinds != {}
    assert "return_value" in records["requirements"].link.outcome.pushed
    assert all("start" in record.bundle.envelopes for record in records.values())


def test_the_data_come_from_outside_and_everything_else_from_a_task_before(records):
    produced = {uri: digest for record in records.values() for uri, digest in record.link.products.items()}
    outside = {uri for record in records.values() for uri in record.link.inputs if uri not in produced}
    assert [uri.rpartition("/")[2] for uri in outside] == ["breast_cancer.csv"]
    for record in records.values():
        handed_on = {uri: digest for uri, digest in record.link.inputs.items() if uri in produced}
        assert handed_on.items() <= produced.items()


def test_a_model_is_on_disk_at_the_end(demo):
    data = Path(demo[1]["folder"]) / "data"
    model = joblib.load(data / "published" / "model.joblib")
    assert model.n_features_in_ == 30


def test_nothing_that_is_private_can_be_read_by_others(demo):
    folder = Path(demo[1]["folder"])
    private = [*folder.glob("keys/*"), *folder.glob("archive/**/*.openings.json")]
    assert len(private) >= 14
    assert [path for path in private if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_the_run_is_exported_and_in_toto_accepts_it(demo, tmp_path):
    out = tmp_path / "out"
    assert atlas("export", demo[1]["run"], "--format", "in-toto", "--out", out).returncode == 0
    program = Path(sys.executable).with_name("in-toto-verify")
    command = [program, "-l", out / "run.layout", "--verification-keys", out / "layout.pub", "--link-dir", out]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    (link,) = out.glob("train[[]2].*.link")
    content = bytearray(link.read_bytes())
    content[len(content) // 2] ^= 1
    link.write_bytes(content)
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


def test_nothing_was_left_running(demo):
    if not os.path.isdir("/proc/self"):
        pytest.fail("expected a machine whose processes can be listed in /proc")
    folder = demo[1]["folder"].encode()
    running = [path for path in Path("/proc").glob("[0-9]*/environ") if folder in _read(path)]
    assert running == []


def _read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""
