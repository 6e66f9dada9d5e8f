"""Sessions and batches around real tasks: fewer quotes, the same verdict."""

import sys
from types import ModuleType

import pytest

from airflow_provider_atlas.airflow import listener, opening
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.wiring import runs
from tests.support.airflow_lab import DEFERS, Lab

DAG = """
@task
def first():
    return [1, 2, 3]

@task
def each(number):
    return number

each.expand(number=first())
"""
STEPS = ["first", "each[0]", "each[1]", "each[2]"]


@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_the_tasks_of_a_worker_are_signed_in_one_session(lab: Lab, mode: str) -> None:
    lab.configure(mode=mode, attester=f"simulated:{lab.home}/tee", attester_mode="session")
    run = lab.run(DAG)
    assert run.state == "success"
    report = run.verify()
    assert report.verdict == "passed", report.failures
    bundles = [run.bundle(step) for step in STEPS]
    assert len({bundle.public_key for bundle in bundles}) == 1
    assert len({bundle.bound_evidence.evidence.quote for bundle in bundles if bundle.bound_evidence}) == 1
    listed = {signer.key for signer in Policy.parse(runs.policy_for(lab.settings, name="lab")).signers}
    assert bundles[0].public_key not in listed


def test_in_batches_each_task_has_its_own_proof(lab: Lab) -> None:
    lab.configure(mode="enforce", attester=f"simulated:{lab.home}/tee", attester_mode="batch")
    run = lab.run(DAG)
    report = run.verify()
    assert report.verdict == "passed", report.failures
    for step in STEPS:
        bound = run.bundle(step).bound_evidence
        assert bound is not None
        assert bound.evidence.batch is not None


def test_a_task_that_comes_back_in_another_session_is_signed_by_one_key(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.configure(mode="enforce", attester=f"simulated:{lab.home}/tee", attester_mode="session")
    worker = opening.worker

    def elsewhere(settings):  # type: ignore[no-untyped-def]  # as the real one
        opening._opened.clear()  # as in another process, which the parent did not prepare
        return worker(settings)

    monkeypatch.setattr(opening, "worker", elsewhere)
    run = lab.run(DEFERS)
    assert run.state == "success"
    report = run.verify()
    assert report.verdict == "passed", report.failures


@pytest.mark.parametrize(
    ("executor", "opens"), [("LocalExecutor", True), ("CeleryExecutor", False), ("CeleryExecutor,LocalExecutor", True)]
)
def test_a_scheduler_opens_a_session_where_it_forks_tasks(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, executor: str, opens: bool
) -> None:
    lab.configure(mode="enforce", attester=f"simulated:{lab.home}/tee", attester_mode="session")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    monkeypatch.setitem(sys.modules, "airflow.jobs.scheduler_job_runner", ModuleType("scheduler_job_runner"))
    asked = []
    monkeypatch.setattr(opening, "open_session", asked.append)
    listener.preload()
    assert bool(asked) is opens
