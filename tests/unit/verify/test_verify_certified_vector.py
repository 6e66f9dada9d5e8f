"""The run of version 1 that a worker without a key made verifies for ever, by who its worker was."""

import json
from pathlib import Path

import pytest
import yaml

from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.encoding import parse_time
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.wiring import archives, runs

VECTOR = Path(__file__).parents[2] / "vectors" / "format-v1-certified"
RUN = next(path for path in (VECTOR / "archive" / "churn").iterdir())
KEPT = json.loads((VECTOR / "report.json").read_bytes())


def verified(policy: bytes):
    run = archives.open_run(str(RUN))
    return runs.verify_run_folder(run, Policy.parse(policy), at=parse_time(KEPT["evaluated_at"]))


def test_it_verifies_and_its_report_has_the_form_it_had():
    report = verified((VECTOR / "policy.yaml").read_bytes())
    answers = [(check["number"], check["subject"], check["status"]) for check in KEPT["checks"]]
    assert answers == [(check.number, check.subject, check.status) for check in report.checks]
    assert {status for number, _, status in answers if number != 7} == {"passed"}
    assert {number for number, _, _ in answers} == set(range(1, 14))
    assert report.verdict == KEPT["verdict"] == "passed"
    assert [record.to_json() for record in report.records] == KEPT["records"]


def test_every_bundle_of_it_is_in_its_one_spelling():
    paths = [*RUN.rglob("*.bundle.json"), *RUN.rglob("*.start.json")]
    assert len(paths) == 4
    for path in paths:
        assert AttestationBundle.parse(path.read_bytes()).to_bytes() == path.read_bytes()


@pytest.mark.parametrize("member", ["identity", "issuer"])
def test_by_another_identity_it_fails(member):
    policy = yaml.safe_load((VECTOR / "policy.yaml").read_bytes())
    policy["signers"][0][member] += "2"
    report = verified(yaml.safe_dump(policy).encode())
    assert {check.number for check in report.checks if check.status == "failed"} == {1, 8}
