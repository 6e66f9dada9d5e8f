"""DAGs that really run: ``dag.test()`` in this process, with a database, an archive and a log of their own.

The task runner, the rendering, the XComs and the execution API are Airflow's; only the scheduler's process and the
fork of each task are left out (see ``tests/support/cluster.py`` for those).
"""

import os
import textwrap
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_atlas.artifacts.archive import record_path, run_path
from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.intoto.run_manifest import RunManifest
from airflow_provider_atlas.intoto.statement import Statement
from airflow_provider_atlas.intoto.task_run import step_name
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.report import VerificationReport
from airflow_provider_atlas.wiring import archives, runs

_HEAD = """
from airflow.sdk import DAG, Asset, AssetAlias, Param, task, task_group
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import PythonOperator, ShortCircuitOperator
from airflow_provider_atlas.operators import AtlasOperator, AtlasVerifyOperator
from airflow_provider_atlas.recording import record_input, record_metric, record_output

DATA = {data!r}

with DAG({dag_id!r}, schedule=None{options}) as dag:
"""

DEFERS = """
    import datetime
    from airflow.sdk import BaseOperator
    from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

    class Defers(BaseOperator):
        def execute(self, context):
            self.defer(
                trigger=TimeDeltaTrigger(datetime.timedelta(milliseconds=1)), method_name="execute_complete"
            )

        def execute_complete(self, context, event=None):
            return "resumed"

    Defers(task_id="defers") >> BashOperator(task_id="after", bash_command="true")
"""
"""A task that is deferred once, and one after it."""


@dataclass(frozen=True)
class LabRun:
    """A run that has ended: Airflow's ``state``, and that of each step in ``states``."""

    lab: "Lab"
    dag_id: str
    run_id: str
    at: datetime
    state: str
    states: Mapping[str, str]

    @property
    def folder(self) -> Path:
        """Where its records lie."""
        return self.lab.home.joinpath("archive", *run_path(self.dag_id, self.run_id))

    def names(self, step: str) -> Sequence[str]:
        """What is kept of a step."""
        folder = self.folder.parent.parent.joinpath(*record_path(self.dag_id, self.run_id, step, "x")).parent
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def bundle(self, step: str, try_number: int = 1) -> AttestationBundle:
        """The record of a try."""
        path = record_path(self.dag_id, self.run_id, step, f"{try_number}.bundle.json")
        return AttestationBundle.parse(self.lab.home.joinpath("archive", *path).read_bytes())

    def link(self, step: str, try_number: int = 1) -> Link:
        """What the record of a try says."""
        return Link.parse(self.bundle(step, try_number).envelopes["link"].payload)

    def manifest(self, name: str = "manifest.bundle.json") -> RunManifest:
        """The run manifest."""
        bundle = AttestationBundle.parse((self.folder / name).read_bytes())
        return RunManifest.from_statement(Statement.parse(bundle.envelopes["manifest"].payload))

    def verify(self) -> VerificationReport:
        """Verify the run by a policy that trusts this lab's key and log."""
        return runs.verify_archive(
            archives.open_archive(str(self.lab.home / "archive")),
            self.dag_id,
            self.run_id,
            Policy.parse(runs.policy_for(self.lab.settings, name="lab")),
            at=datetime.now(UTC),
        )


class Lab:
    """One test's deployment: ``home`` holds its keys, log and archive, ``data`` what its tasks read and write."""

    def __init__(self, folder: Path, environment: pytest.MonkeyPatch) -> None:
        self.home = folder / "atlas"
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self._environment = environment
        self._given: dict[str, str] = {}
        self.configure(home=str(self.home))

    def configure(self, **settings: str) -> None:
        """Set keys of ``[atlas]``."""
        self._given |= settings
        for key, value in settings.items():
            self._environment.setenv(f"AIRFLOW__ATLAS__{key.upper()}", value)

    @property
    def settings(self) -> Settings:
        """The settings, as Airflow's configuration gives them to a task."""
        return Settings.parse(self._given, home=str(self.home))

    def write_policy(self) -> str:
        """Write a policy that trusts this lab; return its path."""
        path = self.home / "policy.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(runs.policy_for(self.settings, name="lab"))
        return str(path)

    def run(self, body: str, *, conf: Mapping[str, object] | None = None, **options: str) -> LabRun:
        """Run the DAG whose tasks ``body`` declares, to its end. ``options`` are the DAG's, as source text."""
        dag_id = f"lab_{uuid.uuid4().hex[:8]}"
        return self.repeat(self._declare(dag_id, body, options), dag_id, conf=conf)

    def repeat(
        self, file: Path, dag_id: str, *, conf: Mapping[str, object] | None = None, at: datetime | None = None
    ) -> LabRun:
        """Run the DAG in ``file``."""
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(str(file))
        assert not bag.import_errors, bag.import_errors
        at = at or datetime.now(UTC)
        dag_run = bag.dags[dag_id].test(run_conf=dict(conf or {}), logical_date=at, run_after=at)
        states = {
            step_name(instance.task_id, instance.map_index): str(getattr(instance.state, "value", instance.state))
            for instance in dag_run.get_task_instances()
        }
        return LabRun(
            lab=self, dag_id=dag_id, run_id=dag_run.run_id, at=at, state=str(dag_run.state.value), states=states
        )

    def again(self, run: LabRun) -> LabRun:
        """Run the same DAG for the same moment: Airflow deletes the run and makes it anew, under the same id."""
        return self.repeat(Path(os.environ["AIRFLOW_HOME"], "dags", f"{run.dag_id}.py"), run.dag_id, at=run.at)

    def end_again(self, run: LabRun, *, set_states: Mapping[str, str] | None = None) -> None:
        """Let the run end once more, as after a clear, with some tasks' states set by hand before."""
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            dag_run = session.scalars(select(DagRun).where(DagRun.dag_id == run.dag_id)).one()
            for instance in dag_run.get_task_instances(session=session):
                state = (set_states or {}).get(step_name(instance.task_id, instance.map_index))
                instance.state = state or instance.state
            dag_run.notify_dagrun_state_changed(msg="again")

    def _declare(self, dag_id: str, body: str, options: Mapping[str, str]) -> Path:
        dags = Path(os.environ["AIRFLOW_HOME"], "dags")
        # dag.test() parses all that lies there, every time.
        for old in dags.glob("*.py"):
            old.unlink()
        given = "".join(f", {name}={value}" for name, value in options.items())
        head = _HEAD.format(data=str(self.data), dag_id=dag_id, options=given)
        file = dags / f"{dag_id}.py"
        file.write_text(head + textwrap.indent(textwrap.dedent(body), "    "))
        return file
