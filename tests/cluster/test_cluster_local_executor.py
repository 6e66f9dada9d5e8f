"""The demonstration DAG under a real scheduler with LocalExecutor: the same records, and a good verdict."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tee.backends.tpm_attester import TpmAttester
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.records import load_run
from airflow_provider_atlas.wiring import archives, runs
from tests.support.attested_run import outcome_of
from tests.support.cluster import Cluster
from tests.support.emulated_tsm import emulated_tsm
from tests.support.swtpm import swtpm

DAGS = Path(__file__).parents[2] / "dags"


@contextmanager
def simulated(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Yield the setting of a simulated TEE, and the root that its policy must be told of, if it must."""
    yield f"simulated:{folder}/atlas/tee", None


@contextmanager
def tsm_tdx(_: Path) -> Iterator[tuple[str, str | None]]:
    """The kernel's interface to a TDX guest, emulated."""
    with emulated_tsm() as emulated:
        yield emulated.attester_uri, emulated.root_sha256


@contextmanager
def tsm_snp(_: Path) -> Iterator[tuple[str, str | None]]:
    """The kernel's interface to a SEV-SNP guest, emulated."""
    with emulated_tsm("sev-snp") as emulated:
        yield emulated.attester_uri, emulated.root_sha256


@contextmanager
def tpm(_: Path) -> Iterator[tuple[str, str | None]]:
    """A TPM in software, of which all tasks ask quotes at once."""
    with swtpm() as running:
        running.make_keys()
        attester = TpmAttester(running.address())
        yield f"tpm:{running.address()}", attester.ak_sha256


@pytest.mark.cluster
@pytest.mark.timeout(900)
@pytest.mark.parametrize("tee", [simulated, tsm_tdx, tsm_snp, tpm])
def test_every_task_of_a_scheduled_run_is_attested_and_the_run_verifies(
    tmp_path: Path, tee: Callable[[Path], AbstractContextManager[tuple[str, str | None]]]
) -> None:
    with tee(tmp_path) as (attester, root):
        section = {
            "mode": "enforce",
            "deployment": "cluster",
            "home": str(tmp_path / "atlas"),
            "attester": attester,
            "policy": str(tmp_path / "policy.yaml"),
        }
        policy = yaml.safe_load(runs.policy_for(Settings.parse(section, home=""), name="cluster"))
        if root is not None:
            policy["tee"]["accept"][0]["development_roots"] = [root]
        (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy))
        _run_and_judge(tmp_path, section, policy["tee"]["accept"][0]["tee"])


def _run_and_judge(tmp_path: Path, section: dict[str, str], tee: str) -> None:
    environment = {f"AIRFLOW__ATLAS__{key.upper()}": value for key, value in section.items()}
    with Cluster(tmp_path / "airflow", DAGS, environment) as cluster:
        run_id, state = cluster.run("atlas_ml_pipeline", timeout=560)
        told = cluster.troubles()
        instances = cluster.query(
            "select task_id, map_index, state from task_instance where run_id = ? and dag_id = 'atlas_ml_pipeline'",
            run_id,
        )
    assert state == "success", (instances, told)
    assert {state for _, _, state in instances} == {"success"}

    archive = archives.open_archive(f"{tmp_path}/atlas/archive")
    policy = Policy.parse((tmp_path / "policy.yaml").read_bytes())
    report = runs.verify_archive(archive, "atlas_ml_pipeline", run_id, policy, at=datetime.now(UTC))
    assert outcome_of(report) == {}, [check.detail for check in report.failures]
    assert report.verdict == "passed"
    assert {(record.step) for record in report.records} == {
        task_id if map_index == -1 else f"{task_id}[{map_index}]" for task_id, map_index, _ in instances
    }
    run = archives.open_run(f"{tmp_path}/atlas/archive/atlas_ml_pipeline/{run_id}")
    records = load_run(run).records
    assert all("start" in record.bundle.envelopes for record in records)
    evidence = [record.bundle.bound_evidence.evidence for record in records if record.bundle.bound_evidence]
    assert {(one.tee, one.provider) for one in evidence} == {(tee, "simulated")}
    assert len(evidence) == len(records)


MAPPED = """
from airflow.sdk import dag, task

@dag(schedule=None, default_args={"retries": 0})
def mapped():
    @task
    def each(number):
        return number

    each.expand(number=list(range(4)))

mapped()
"""


@pytest.mark.cluster
def test_all_task_processes_inherit_the_session_of_the_scheduler_that_forks_them(tmp_path: Path) -> None:
    section = {
        "mode": "enforce",
        "deployment": "cluster",
        "home": str(tmp_path / "atlas"),
        "attester": f"simulated:{tmp_path}/atlas/tee",
        "attester_mode": "session",
    }
    settings = Settings.parse(section, home="")
    policy = runs.policy_for(settings, name="cluster")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "mapped.py").write_text(MAPPED)
    environment = {f"AIRFLOW__ATLAS__{key.upper()}": value for key, value in section.items()}
    environment["AIRFLOW__CORE__PARALLELISM"] = "2"
    with Cluster(tmp_path / "airflow", tmp_path / "dags", environment) as cluster:
        run_id, state = cluster.run("mapped")
        told = cluster.troubles() or cluster.log("scheduler")
    assert state == "success", told

    archive = archives.open_archive(f"{tmp_path}/atlas/archive")
    report = runs.verify_archive(archive, "mapped", run_id, Policy.parse(policy), at=datetime.now(UTC))
    assert report.verdict == "passed", [check.detail for check in report.failures]
    found = load_run(archives.open_run(f"{tmp_path}/atlas/archive/mapped/{run_id}"))
    evidence = [record.bundle.bound_evidence for record in found.records]
    assert len(evidence) == 4
    sessions = {json.dumps(bound.binding.to_json()) for bound in evidence if bound is not None}
    assert len(sessions) == 1, sessions
    keys = {path.name for path in (tmp_path / "atlas" / "keys").iterdir()}
    assert keys == {"log.pem", "task.pem"}  # that of manifests; the session's is in no file
