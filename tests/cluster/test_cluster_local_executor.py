"""The demonstration DAG under a real scheduler with LocalExecutor: the same records, and a good verdict."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.records import load_run
from airflow_provider_atlas.wiring import archives, runs
from tests.support.attested_run import outcome_of
from tests.support.cluster import Cluster
from tests.support.emulated_tsm import emulated_tsm

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


@pytest.mark.cluster
@pytest.mark.timeout(900)
@pytest.mark.parametrize("tee", [simulated, tsm_tdx])
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
        _run_and_judge(tmp_path, section)


def _run_and_judge(tmp_path: Path, section: dict[str, str]) -> None:
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
    assert {(one.tee, one.provider) for one in evidence} == {("tdx", "simulated")}
    assert len(evidence) == len(records)
