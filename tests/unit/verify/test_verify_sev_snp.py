"""Runs on a simulated SNP platform, from seal to verdict: the same thirteen questions, of another TEE."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from airflow_provider_atlas.artifacts.archive import run_path
from airflow_provider_atlas.bundle import AttestationBundle, BoundEvidence
from airflow_provider_atlas.intoto.scai import SIMULATED
from airflow_provider_atlas.tee.evidence import PEM_CERTIFICATE_CHAIN, Evidence
from airflow_provider_atlas.verify.report import VerificationReport
from tests.support.attested_run import DAG_ID, RUN_ID, AttestedRun, outcome_of, replace


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"simulated-snp:{tmp_path_factory.mktemp('snp')}"


@pytest.fixture
def run(tmp_path: Path, platform: str) -> AttestedRun:
    return AttestedRun(tmp_path, attester=platform)


def answers(report: VerificationReport, number: int) -> set[str]:
    return {check.status for check in report.checks if check.number == number}


def with_evidence(run: AttestedRun, **changes: object) -> None:
    """Change the evidence in the archived record of ``ingest``, which nobody signed: the log keeps its digest."""
    path = run.folder.joinpath("archive", *run_path(DAG_ID, RUN_ID), "tasks", "ingest", "1.bundle.json")
    bundle = AttestationBundle.parse(path.read_bytes())
    assert bundle.bound_evidence is not None
    evidence = dataclasses.replace(bundle.bound_evidence.evidence, **changes)  # type: ignore[arg-type]  # by the caller
    bound = BoundEvidence(evidence=evidence, binding=bundle.bound_evidence.binding)
    path.write_bytes(replace(bundle, bound_evidence=bound).to_bytes())


def test_an_honest_run_passes_every_question_in_development(run: AttestedRun):
    report = run.complete().verify()
    assert outcome_of(report) == {}
    assert (report.verdict, report.development) == ("passed", True)
    assert {record.tee.tee for record in report.records if record.tee} == {"sev-snp"}
    assert {record.tee.assurance for record in report.records if record.tee} == {"development"}


def test_its_records_say_that_it_is_simulated(run: AttestedRun):
    bundle = run.record("ingest", [], {"table": b"table"})
    assert SIMULATED.encode() in bundle.envelopes["tee"].payload
    evidence = bundle.bound_evidence.evidence if bundle.bound_evidence else None
    assert isinstance(evidence, Evidence)
    assert (evidence.tee, evidence.provider) == ("sev-snp", "simulated")


def test_another_measurement_is_not_the_policys(run: AttestedRun):
    document = yaml.safe_load(run.complete().policy_document())
    document["tee"]["accept"][0]["measurements"] = {"measurement": ["00" * 48]}
    report = run.verify(yaml.safe_dump(document).encode())
    assert answers(report, 5) == {"failed"}


def test_a_policy_without_the_simulators_root_does_not_know_it(run: AttestedRun):
    document = yaml.safe_load(run.complete().policy_document())
    del document["tee"]["accept"][0]["development_roots"]
    report = run.verify(yaml.safe_dump(document).encode())
    assert answers(report, 3) == {"failed"}
    assert report.verdict == "failed"


def test_a_report_without_its_certificates_is_not_decided(run: AttestedRun):
    with_evidence(run.complete(), endorsements=())
    report = run.verify()
    assert "not-reached" in answers(report, 3)
    assert report.verdict != "passed"


def test_a_report_of_another_task_binds_nothing(run: AttestedRun):
    run.complete()
    other = run.records["publish"][1].bound_evidence
    assert other is not None
    with_evidence(run, quote=other.evidence.quote)
    report = run.verify()
    assert report.verdict == "failed"
    # The statement names the quote, so this question is the first to notice.
    assert "failed" in answers(report, 2)


def test_the_chain_of_another_platform_is_refused(run: AttestedRun, tmp_path: Path):
    run.complete()
    stranger = AttestedRun(tmp_path / "stranger", attester=f"simulated-snp:{tmp_path / 'other'}")
    theirs = stranger.record("ingest", [], {"table": b"table"}).bound_evidence
    assert theirs is not None
    chain = [one for one in theirs.evidence.endorsements if one.media_type == PEM_CERTIFICATE_CHAIN]
    with_evidence(run, endorsements=chain)
    assert "failed" in answers(run.verify(), 3)
