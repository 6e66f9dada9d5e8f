"""``docs/report.schema.json`` accepts every report that is made, and nothing that is not shaped like one."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from airflow_provider_atlas.verify.report import SCHEMA, VerificationReport
from tests.support import sample_reports
from tests.support.attested_run import AttestedRun

DOCUMENT = json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(DOCUMENT)


def problems(report: VerificationReport) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(json.loads(report.to_bytes()))]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return AttestedRun(tmp_path_factory.mktemp("attested")).complete()


@pytest.fixture(scope="module")
def report(run):
    return run.verify()


def test_it_is_a_schema_and_has_the_name_that_reports_carry():
    jsonschema.Draft202012Validator.check_schema(DOCUMENT)
    assert DOCUMENT["$id"] == SCHEMA


def test_it_accepts_the_report_of_a_good_run(report):
    assert report.verdict == "passed"
    assert report.development
    assert problems(report) == []


def test_it_accepts_the_report_of_a_damaged_run(tmp_path):
    run = AttestedRun(tmp_path).complete()
    for record in sorted(run.run_folder.glob("tasks/*/*.bundle.json"))[:2]:
        record.chmod(0o644)
        record.write_bytes(b"damaged")
    assert run.verify().verdict == "failed"
    assert problems(run.verify()) == []


@pytest.mark.parametrize("name", ["good", "development", "failed", "undecided", "mapped"])
def test_it_accepts_reports_of_every_verdict(name):
    assert problems(getattr(sample_reports, name)()) == []


def test_it_refuses_a_report_that_lacks_a_member_or_has_one_more(report):
    document = json.loads(report.to_bytes())
    for path in (document, document["checks"][0], document["records"][0], document["artifacts"][0]):
        for name in list(path):
            value = path.pop(name)
            assert not VALIDATOR.is_valid(document), name
            path[name] = value
    document["extra"] = 1
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("verdict",), "good"),
        (("checks", 0, "status"), "unknown"),
        (("records", 0, "started"), "2026-01-31T12:00:00Z"),
        (("records", 0, "metrics"), {"accuracy": "0.9"}),
        (("artifacts", 0, "sha256"), "AB" * 32),
        (("policy", "sha256"), "ab" * 31),
    ],
)
def test_it_refuses_what_no_report_says(report, path, value):
    document = copy.deepcopy(json.loads(report.to_bytes()))
    place = document
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    assert not VALIDATOR.is_valid(document)
