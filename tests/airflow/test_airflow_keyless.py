"""A worker without a key of its own, end to end: a real DAG, the records in the archive, ``atlas verify``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from airflow_provider_atlas.cli.main import main
from airflow_provider_atlas.wiring import runs
from tests.support.airflow_lab import DEFERS, Lab
from tests.support.fulcio import IDENTITY, Keyless, keyless, token

DAG = """
@task
def one():
    return 1

@task
def other(value):
    return value + 1

other(one())
"""


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Keyless]:
    with keyless(tmp_path) as served:
        yield served


def verify(lab: Lab, folder: Path, services: Keyless, **change: str) -> int:
    """What ``atlas verify`` answers, by a policy that trusts this worker, or with something of it changed."""
    policy = yaml.safe_load(runs.policy_for(lab.settings, name="lab", trust=services.trust))
    policy["signers"][0] |= change
    path = lab.home / "policy.yaml"
    path.write_text(yaml.safe_dump(policy))
    return main(["verify", str(folder), "--policy", str(path)])


@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_a_run_verifies_by_who_its_worker_was_and_by_nobody_else(lab: Lab, services: Keyless, mode: str) -> None:
    lab.configure(mode=mode, **services.section)
    run = lab.run(DAG)
    assert run.state == "success"
    assert verify(lab, run.folder, services) == 0
    assert verify(lab, run.folder, services, identity=f"{IDENTITY}2") == 1
    assert verify(lab, run.folder, services, issuer="https://oidc.example.net") == 1


def test_a_task_that_comes_back_in_another_process_has_one_signer_all_the_same(lab: Lab, services: Keyless) -> None:
    lab.configure(mode="enforce", **services.section)
    run = lab.run(DEFERS)
    assert run.state == "success"
    assert verify(lab, run.folder, services) == 0


def test_in_observe_a_token_that_expired_breaks_nothing_and_a_later_task_finishes_the_record(
    lab: Lab, services: Keyless
) -> None:
    path = Path(services.section["signer_token_file"])
    path.write_text(token(life=-60))
    lab.configure(mode="observe", **services.section)
    run = lab.run(DAG)
    assert run.state == "success"
    assert run.names("one") == []
    path.write_text(token())
    lab.run(DAG)
    assert set(run.bundle("one").timestamps) == {"link", "provenance"}


def test_in_enforce_a_task_whose_worker_nobody_vouches_for_fails(lab: Lab, services: Keyless) -> None:
    Path(services.section["signer_token_file"]).write_text(token(audience="another"))
    lab.configure(mode="enforce", **services.section)
    assert lab.run(DAG).states["one"] == "failed"
