"""The run of version 1 in a session and a batch verifies for ever, and ``docs/format.md`` shows what it says."""

import json
from pathlib import Path

import pytest

from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.encoding import canonical_json, parse_time
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.report import VerificationReport
from airflow_provider_atlas.wiring import archives, runs
from tests.unit.report.test_report_format_document import SHOWN, abridges

VECTOR = Path(__file__).parents[3] / "tests" / "vectors" / "format-v1-modes"
RUN = next(path for path in (VECTOR / "archive" / "churn").iterdir())
KEPT = json.loads((VECTOR / "report.json").read_bytes())


def verified() -> VerificationReport:
    policy = Policy.parse((VECTOR / "policy.yaml").read_bytes())
    return runs.verify_run_folder(archives.open_run(str(RUN)), policy, at=parse_time(KEPT["evaluated_at"]))


def shown(step: str, member: str) -> object:
    evidence = json.loads((RUN / "tasks" / step / "1.bundle.json").read_bytes())["evidence"]
    return {"binding": evidence["binding"], member: evidence[member]}


def test_the_run_in_a_session_and_a_batch_verifies() -> None:
    report = verified()
    assert report.verdict == "passed"
    assert {check.status for check in report.checks if check.number != 7} == {"passed"}
    assert {check.number for check in report.checks} == set(range(1, 14))


def test_the_report_of_it_has_the_form_it_had() -> None:
    now = json.loads(canonical_json(verified().to_json()))
    words = {"checks", "verifier", "limitations"}
    assert {name: KEPT[name] for name in KEPT.keys() - words} == {name: now[name] for name in now.keys() - words}


def test_every_kept_file_is_in_its_one_spelling() -> None:
    for path in [*RUN.rglob("*.bundle.json"), *RUN.rglob("*.start.json")]:
        assert AttestationBundle.parse(path.read_bytes()).to_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "step", "member"), [("session", "split", "timestamp"), ("batch", "train[1]", "batch")]
)
def test_what_the_document_shows_is_what_the_code_wrote(name: str, step: str, member: str) -> None:
    assert abridges(json.loads(SHOWN[name]), shown(step, member))
