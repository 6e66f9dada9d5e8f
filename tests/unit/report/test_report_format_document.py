"""``docs/format.md`` shows what the code writes, and the run of version 1 that it shows verifies for ever."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from airflow_provider_atlas.artifacts.manifest import Manifest
from airflow_provider_atlas.attest.execution import commitment
from airflow_provider_atlas.bundle import AttestationBundle, log_entry
from airflow_provider_atlas.cli.recognition import describe
from airflow_provider_atlas.encoding import canonical_json, parse_time
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.intoto.pipeline import Pipeline
from airflow_provider_atlas.intoto.run_manifest import RunManifest
from airflow_provider_atlas.intoto.statement import Statement
from airflow_provider_atlas.sigstore.bundle import SigstoreBundle
from airflow_provider_atlas.sigstore.trusted_root import TrustedRoot
from airflow_provider_atlas.tee.binding import Binding
from airflow_provider_atlas.tee.policy_fields import FIELDS
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.timestamp import TrustedAuthority
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.questions import QUESTIONS
from airflow_provider_atlas.wiring import archives, runs

ROOT = Path(__file__).parents[3]
VECTOR = ROOT / "tests" / "vectors" / "format-v1"
ARCHIVE = VECTOR / "archive"
RUN = next(path for path in (ARCHIVE / "churn").iterdir())
REPORT = ROOT / "tests" / "vectors" / "report-v2" / "report.json"
TRAIN = RUN / "tasks" / "train[0]"
DOCUMENT = (ROOT / "docs" / "format.md").read_text("utf-8") if (ROOT / "docs" / "format.md").exists() else ""
SHOWN = dict(re.findall(r"<!-- instance: (\w+) -->\n```\w+\n(.*?)\n```", DOCUMENT, re.DOTALL))

MODES = {"session", "batch"}  # of another run: see test_report_format_modes


def bundle():
    return AttestationBundle.parse((TRAIN / "1.bundle.json").read_bytes())


def link():
    return Link.parse(bundle().envelopes["link"].payload)


def policy():
    return Policy.parse((VECTOR / "policy.yaml").read_bytes())


def sigstore_bundle():
    record = bundle()
    return SigstoreBundle.of(record.envelopes["link"], record.public_key, record.receipts["link"], policy().logs[0])


def instances():
    """What the document shows, by the name it shows it under: JSON values, and the text of what is no JSON."""
    record = bundle()
    payloads = {role: json.loads(envelope.payload) for role, envelope in record.envelopes.items()}
    manifest = AttestationBundle.parse((RUN / "manifest.bundle.json").read_bytes())
    model = link().products["file:///srv/churn/model"]
    return {
        **payloads,
        "bundle": json.loads(record.to_bytes()),
        "manifest": json.loads(manifest.envelopes["manifest"].payload),
        "binding": record.bound_evidence.binding.to_json(),
        "pipeline": json.loads((RUN / "pipeline.json").read_bytes()),
        "directory": json.loads((ARCHIVE / "blobs" / "sha256" / model).read_bytes()),
        "openings": json.loads((TRAIN / "1.openings.json").read_bytes()),
        "entry": json.loads(log_entry(record.envelopes["link"], record.public_key)),
        "receipt": record.receipts["link"].to_bytes().decode(),
        "sigstore": json.loads(sigstore_bundle().to_bytes()),
        "trusted_root": json.loads(TrustedRoot(logs=[log.key for log in policy().logs]).to_bytes()),
        "report": _excerpt(json.loads(REPORT.read_bytes())),
        "policy": (VECTOR / "policy.yaml").read_text("utf-8"),
    }


def _excerpt(report):
    """The report with one of each: its lists are long, and alike."""
    one = {name: report[name][-1:] for name in ("checks", "records", "artifacts", "limitations")}
    return report | one


def verified():
    run = archives.open_run(str(RUN))
    return runs.verify_run_folder(run, policy(), at=parse_time("2026-11-24T13:00:00.000000Z"))


def abridges(shown, value) -> bool:
    """Whether ``shown`` is ``value``, but for strings that end in ``…`` and begin as the real one does."""
    if isinstance(value, dict):
        return shown.keys() == value.keys() and all(abridges(shown[name], value[name]) for name in value)
    if isinstance(value, list):
        return len(shown) == len(value) and all(map(abridges, shown, value))
    if isinstance(shown, str) and isinstance(value, str) and shown.endswith("…"):
        return value.startswith(shown.removesuffix("…")) and len(value) > len(shown)
    return type(shown) is type(value) and shown == value


def test_the_run_of_version_1_verifies():
    report = verified()
    assert {check.status for check in report.checks if check.number != 7} == {"passed"}
    assert {check.status for check in report.checks if check.number == 7} == {"not-required"}  # its files are gone
    assert {check.number for check in report.checks} == set(range(1, 14))
    assert report.development


def test_the_report_of_the_run_has_the_form_it_had():
    kept, now = json.loads(REPORT.read_bytes()), verified().to_json()
    words = {"checks", "verifier", "limitations"}  # these are for people, and may be put better
    assert {name: kept[name] for name in kept.keys() - words} == json.loads(
        canonical_json({name: now[name] for name in now.keys() - words})
    )


@pytest.mark.parametrize("path", [REPORT, VECTOR / "report.json"], ids=["version 2", "version 1"])
def test_the_answers_are_those_of_every_kept_report(path):
    kept, now = json.loads(path.read_bytes()), verified().to_json()
    answers = [(check["number"], check["subject"], check["status"]) for check in kept["checks"]]
    assert answers == [(check["number"], check["subject"], check["status"]) for check in now["checks"]]


def test_a_report_of_version_1_is_still_read():
    content = (VECTOR / "report.json").read_bytes()
    schema = json.loads((ROOT / "docs" / "report-v1.schema.json").read_bytes())
    assert not list(jsonschema.Draft202012Validator(schema).iter_errors(json.loads(content)))
    assert describe(content)["verdict"] == "passed"


def test_the_document_shows_every_format_once():
    assert SHOWN.keys() == instances().keys() | MODES


@pytest.mark.parametrize("name", sorted(SHOWN.keys() - MODES))
def test_what_the_document_shows_is_what_the_code_wrote(name):
    value = instances()[name]
    if name == "policy":
        assert yaml.safe_load(SHOWN[name]) == yaml.safe_load(value)
    elif isinstance(value, str):
        assert SHOWN[name] == value.rstrip("\n")
    else:
        assert abridges(json.loads(SHOWN[name]), value)


def test_the_document_has_the_table_of_questions():
    rows = re.findall(r"^\| (\d+) \| (\w+) \| (a record|the run) \| (.*?) \| (.*?) \|$", DOCUMENT, re.MULTILINE)
    assert [(int(number), name, question, failure) for number, name, _, question, failure in rows] == [
        (question.number, question.name, question.question, question.failure) for question in QUESTIONS.values()
    ]


def test_the_document_has_every_field_of_every_tee():
    table = DOCUMENT.partition("<!-- fields -->")[2].partition("<!-- /fields -->")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*?) \| (.*?) \|$", table, re.MULTILINE)
    fields = {tee: re.findall(r"`(\w+)`", told) for tee, _, told in rows}
    assert fields == {tee: list(known.fields) for tee, known in FIELDS.items()}
    assert {tee: re.findall(r"\*\*`(\w+)`\*\*", told) for tee, told, _ in rows} == {
        tee: list(known.code) for tee, known in FIELDS.items()
    }


def test_every_kept_file_is_in_its_one_spelling():
    for path in [*RUN.rglob("*.bundle.json"), *RUN.rglob("*.start.json")]:
        assert AttestationBundle.parse(path.read_bytes()).to_bytes() == path.read_bytes()
    assert Pipeline.parse((RUN / "pipeline.json").read_bytes()).to_bytes() == (RUN / "pipeline.json").read_bytes()
    for path in (ARCHIVE / "blobs" / "sha256").iterdir():
        assert Manifest.parse(path.read_bytes()).sha256 == path.name
    manifest = AttestationBundle.parse((RUN / "manifest.bundle.json").read_bytes()).envelopes["manifest"]
    assert RunManifest.from_statement(Statement.parse(manifest.payload)).dag_id == "churn"
    record = bundle()
    entry = log_entry(record.envelopes["link"], record.public_key)
    assert HashedRekord.parse(entry).to_bytes() == entry
    assert Binding.parse(record.bound_evidence.binding.to_json()) == record.bound_evidence.binding


def test_the_links_are_stamped_by_the_authority_that_is_kept_beside_them():
    authority = TrustedAuthority.from_pem("kept", (VECTOR / "authority.pem").read_bytes())
    for path in RUN.glob("tasks/*/1.bundle.json"):
        record = AttestationBundle.parse(path.read_bytes())
        finished = Link.parse(record.envelopes["link"].payload).environment.finished
        stamped = authority.check(record.timestamps["link"], record.envelopes["link"].signature)
        assert stamped == finished.replace(microsecond=0)


def test_the_openings_open_the_commitments_of_the_link():
    openings = json.loads((TRAIN / "1.openings.json").read_bytes())
    opened = {name: commitment(item["value"], bytes.fromhex(item["salt"])) for name, item in openings.items()}
    assert opened == link().environment.parameters
