"""The run manifest, made by the scheduler when a run ends: every task instance, its state, its records.

Airflow calls this inside the scheduler's loop, with the scheduler's own session open. To open another, or to commit,
would end the scheduler (Airflow guards its row locks); so the one that the run belongs to is read, and left as it is.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, cast

from airflow_provider_atlas.airflow import conf, opening
from airflow_provider_atlas.airflow.finishing import finish_records
from airflow_provider_atlas.airflow.past import PastRun
from airflow_provider_atlas.airflow.pipeline_of import pipeline_of
from airflow_provider_atlas.artifacts.archive import MANIFEST, PIPELINE, run_path
from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.intoto.run_manifest import ManifestInstance, RunManifest
from airflow_provider_atlas.intoto.task_run import step_name
from airflow_provider_atlas.wiring import workers

_MANIFEST = re.compile(r"manifest(?:\.([1-9][0-9]{0,8}))?\.bundle\.json\Z")


class EndedInstance(Protocol):
    """Airflow's task instance, as its database has it."""

    task_id: str
    map_index: int
    state: str | None


def declare_run(dag_run: Any) -> None:  # noqa: ANN401 - Airflow's DagRun, whose types drag in its database
    """Sign, log and archive the manifest of ``dag_run``, which has just ended. Raises AtlasError."""
    settings = conf.settings()
    worker = opening.worker(settings)
    finish_records(settings)
    past = PastRun(worker.archive, dag_run.dag_id, dag_run.run_id, lenient=settings.mode == "observe")
    pipeline = past.pipeline() or pipeline_of(dag_run.dag).to_bytes()
    manifest = RunManifest(
        deployment=settings.deployment,
        dag_id=dag_run.dag_id,
        run_id=dag_run.run_id,
        state=_word(dag_run.state),
        finished=datetime.now(UTC),
        pipeline_sha256=sha256_hex(pipeline),
        instances=[_instance(instance, past) for instance in _instances(dag_run)],
    )
    # A task that ran archived its pipeline; a run in which none did gets the scheduler's, which is the same.
    folder = run_path(dag_run.dag_id, dag_run.run_id)
    worker.archive.put((*folder, PIPELINE), pipeline)
    sealer = workers.declarer(worker)
    bundle = sealer.enter(sealer.declare("manifest", manifest.to_statement()))
    worker.archive.put((*folder, _free_name(past.names())), bundle.to_bytes())


def _instances(dag_run: Any) -> Sequence[EndedInstance]:  # noqa: ANN401 - as above
    from airflow import settings
    from sqlalchemy.orm import object_session

    # ``dag.test()`` has lost the run's session by now; that of its thread is the one it goes on with.
    session = object_session(dag_run) or cast("Any", settings.Session)()
    # What the scheduler has changed and not written yet is on the objects themselves: nothing is to be flushed.
    with session.no_autoflush:
        instances = dag_run.get_task_instances(session=session)
    return sorted(instances, key=lambda instance: (instance.task_id, instance.map_index))


def _instance(instance: EndedInstance, past: PastRun) -> ManifestInstance:
    records = past.of_step(step_name(instance.task_id, instance.map_index))
    state = _word(instance.state)
    return ManifestInstance(
        task_id=instance.task_id,
        map_index=instance.map_index,
        state=state,
        set_by_hand=bool(records) and records[-1].state != state,
        records=tuple(record.reference for record in records),
    )


def _word(state: object) -> str:
    # An enumeration while it is being set, plain text when it came from the database.
    return str(getattr(state, "value", state) or "none")


def _free_name(names: Sequence[str]) -> str:
    """Return the name of the next manifest: a run that is cleared ends again, and each ending is kept."""
    taken = [int(match[1] or 1) for match in map(_MANIFEST.match, names) if match]
    return f"manifest.{max(taken) + 1}.bundle.json" if taken else MANIFEST
