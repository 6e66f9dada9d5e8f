"""The run manifest: every task instance a run was to have, how each ended, and which records tell of it.

Signed and logged when the run ends. A record that is deleted afterwards is still named here, so its absence shows;
and a state that somebody set by hand contradicts the last record of its task.
See: ``docs/format.md`` §6. The payload is an in-toto statement about the pipeline.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_atlas.encoding import Fields, Json, JsonObject, format_time
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.intoto.environment import RecordReference, sha256_digest_set
from airflow_provider_atlas.intoto.statement import NAMESPACE, Statement, Subject
from airflow_provider_atlas.intoto.task_run import step_name

PREDICATE_TYPE = NAMESPACE + "run-manifest"
"""The predicate type of a run manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestInstance:
    """One task instance: Airflow's state for it when the run ended, and its records, one a try, oldest first.

    ``state`` is Airflow's word, or ``none``. ``set_by_hand`` is true when that state is not how the last record
    ended.
    """

    task_id: str
    map_index: int
    state: str
    set_by_hand: bool
    records: Sequence[RecordReference]

    @property
    def step(self) -> str:
        """The in-toto step of this instance."""
        return step_name(self.task_id, self.map_index)

    @classmethod
    def parse(cls, value: Json) -> "ManifestInstance":
        """Return the instance that ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "a task instance of the manifest")
        instance = cls(
            task_id=fields.text("task_id"),
            map_index=fields.integer("map_index"),
            state=fields.text("state"),
            set_by_hand=fields.boolean("set_by_hand"),
            records=tuple(map(RecordReference.parse, fields.items("records"))),
        )
        fields.end()
        return instance

    def to_json(self) -> JsonObject:
        """Return the JSON object of this instance."""
        return {
            "task_id": self.task_id,
            "map_index": self.map_index,
            "state": self.state,
            "set_by_hand": self.set_by_hand,
            "records": [reference.to_json() for reference in self.records],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunManifest:
    """A run as it ended: ``state`` is Airflow's for the run, ``pipeline_sha256`` the DAG's (``Pipeline.sha256``)."""

    deployment: str
    dag_id: str
    run_id: str
    state: str
    finished: datetime
    pipeline_sha256: str
    instances: Sequence[ManifestInstance]

    @classmethod
    def from_statement(cls, statement: Statement) -> "RunManifest":
        """Return the manifest that ``to_statement`` gave as ``statement``. Raises MalformedError otherwise."""
        if statement.predicate_type != PREDICATE_TYPE:
            raise MalformedError("expected a run manifest")
        fields = Fields(statement.predicate, "the run manifest")
        manifest = cls(
            deployment=fields.text("deployment"),
            dag_id=fields.text("dag_id"),
            run_id=fields.text("run_id"),
            state=fields.text("state"),
            finished=fields.time("finished"),
            pipeline_sha256=fields.sha256("pipeline"),
            instances=tuple(map(ManifestInstance.parse, fields.items("instances"))),
        )
        fields.end()
        if manifest.to_statement().to_bytes() != statement.to_bytes():
            raise MalformedError("expected a run manifest about its own pipeline")
        return manifest

    def to_statement(self) -> Statement:
        """Return the statement that is signed and logged."""
        return Statement(
            subjects=(Subject(name=self.dag_id, sha256=self.pipeline_sha256),),
            predicate_type=PREDICATE_TYPE,
            predicate={
                "deployment": self.deployment,
                "dag_id": self.dag_id,
                "run_id": self.run_id,
                "state": self.state,
                "finished": format_time(self.finished),
                "pipeline": sha256_digest_set(self.pipeline_sha256),
                "instances": [instance.to_json() for instance in self.instances],
            },
        )
