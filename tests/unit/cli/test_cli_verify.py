"""``atlas verify``: the verdict, its exit code, and who gets which words."""

import shutil
from datetime import UTC, datetime

import pytest

from airflow_provider_atlas.encoding import canonical_json
from tests.support.attested_run import DAG_ID, RUN_ID, AttestedRun


def test_a_good_run_passes_and_says_that_its_tee_is_simulated(atlas, attested, policy):
    answer = atlas("verify", attested.run_folder, "--policy", policy)
    assert answer.code == 0
    assert "DEVELOPMENT: simulated TEE, proves nothing about hardware" in answer.out
    assert "PASSED IN DEVELOPMENT" in answer.out
    assert answer.err == ""


def test_a_run_is_found_by_its_names(atlas, attested, policy):
    answer = atlas("verify", DAG_ID, RUN_ID, "--archive", attested.folder / "archive", "--policy", policy)
    assert answer.code == 0
    assert RUN_ID in answer.out


def test_json_is_one_document_and_people_read_the_rest(atlas, attested, policy):
    answer = atlas("verify", attested.run_folder, "--policy", policy, "--json")
    assert answer.code == 0
    assert answer.document["verdict"] == "passed"
    assert answer.out.encode() == canonical_json(answer.document) + b"\n"
    assert "PASSED IN DEVELOPMENT" in answer.err


def test_the_report_is_written_as_a_page(atlas, attested, policy, tmp_path):
    page = tmp_path / "report.html"
    answer = atlas("verify", attested.run_folder, "--policy", policy, "--html", page)
    assert answer.code == 0
    assert str(page) in answer.out
    assert page.read_text().startswith("<!doctype html>")


def test_a_page_that_cannot_be_written_is_a_mistake(atlas, attested, policy, tmp_path):
    answer = atlas("verify", attested.run_folder, "--policy", policy, "--html", tmp_path)
    assert answer.code == 2
    assert f"atlas: cannot write {tmp_path}: " in answer.err


def test_one_changed_byte_fails_at_the_signature(atlas, attested, policy, tmp_path):
    run = shutil.copytree(attested.run_folder, tmp_path / "run")
    record = run / "tasks" / "ingest" / "1.bundle.json"
    content = record.read_bytes()
    at = content.index(b'"payload":"') + 200
    record.write_bytes(content[:at] + (b"A" if content[at : at + 1] != b"A" else b"B") + content[at + 1 :])
    answer = atlas("verify", run, "--policy", policy, "--json")
    assert answer.code == 1
    failed = {check["name"] for check in answer.document["checks"] if check["status"] == "failed"}
    assert "signature" in failed


def test_a_run_of_strangers_fails(atlas, policy, tmp_path):
    stranger = AttestedRun(tmp_path).complete()
    answer = atlas("verify", stranger.run_folder, "--policy", policy)
    assert answer.code == 1
    assert "FAILED" in answer.out


def test_a_run_without_its_manifest_is_undecided(atlas, attested, policy, tmp_path):
    run = shutil.copytree(attested.run_folder, tmp_path / "run")
    (run / "manifest.bundle.json").unlink()
    answer = atlas("verify", run, "--policy", policy)
    assert answer.code == 3
    assert "UNDECIDED" in answer.out


def test_no_policy_is_a_mistake_even_where_one_lies_beside_the_evidence(atlas, attested):
    assert (attested.folder / "policy.yaml").exists()
    answer = atlas("verify", attested.run_folder)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert "--policy" in answer.err
    assert "atlas policy init" in answer.err


def test_a_policy_with_an_unknown_key_is_a_mistake(atlas, attested, policy, tmp_path):
    strange = tmp_path / "policy.yaml"
    strange.write_bytes(policy.read_bytes() + b"sginers: []\n")
    answer = atlas("verify", attested.run_folder, "--policy", strange)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert "sginers" in answer.err


@pytest.mark.parametrize("name", ["nowhere", "a-file", "empty"])
def test_a_folder_that_is_no_run_decides_nothing(atlas, policy, tmp_path, name):
    (tmp_path / "a-file").write_text("no run")
    (tmp_path / "empty").mkdir()
    answer = atlas("verify", tmp_path / name, "--policy", policy)
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.startswith("atlas: there is no run ")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("words", [["one", "two"], ["one", "--archive", "there"], ["one", "two", "three"]])
def test_names_that_name_no_run_are_a_mistake(atlas, policy, words):
    answer = atlas("verify", *words, "--policy", policy)
    assert answer.code == 2
    assert "DAG_ID RUN_ID and --archive DIR" in answer.err


def test_a_run_is_judged_as_of_the_moment_that_is_named(atlas, attested, policy):
    answer = atlas("verify", attested.run_folder, "--policy", policy, "--at", "2020-01-31T12:00:00+00:00", "--json")
    assert answer.code == 1
    assert answer.document["evaluated_at"] == "2020-01-31T12:00:00.000000Z"


@pytest.mark.parametrize("moment", ["yesterday", "2026-01-31T12:00:00", "2026-02-31T12:00:00Z"])
def test_a_moment_that_is_none_is_a_mistake(atlas, attested, policy, moment):
    answer = atlas("verify", attested.run_folder, "--policy", policy, "--at", moment)
    assert answer.code == 2
    assert "expected a time" in answer.err


def test_it_is_judged_now_when_no_moment_is_named(atlas, attested, policy):
    before = datetime.now(UTC).isoformat()
    answer = atlas("verify", attested.run_folder, "--policy", policy, "--json")
    assert before[:16] <= answer.document["evaluated_at"]
