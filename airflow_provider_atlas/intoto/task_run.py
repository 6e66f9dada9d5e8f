"""The name of one execution: which try of which task instance of which run."""

from dataclasses import dataclass

from airflow_provider_atlas.encoding import Fields, Json, JsonObject, canonical_json, sha256_hex
from airflow_provider_atlas.errors import MalformedError

UNMAPPED = -1
"""The ``map_index`` of a task that is not mapped, as Airflow has it."""


def step_name(task_id: str, map_index: int) -> str:
    """Return the in-toto step of a task instance: ``train``, or ``train[3]`` when it is mapped.

    Airflow's task ids hold no brackets, so the two never meet.
    """
    return task_id if map_index == UNMAPPED else f"{task_id}[{map_index}]"


def run_material(deployment: str, dag_id: str, run_id: str) -> tuple[str, str]:
    """Return the name and SHA-256 (hex) of the material that stands for a run.

    Every link of the run has it, so that an unmodified ``in-toto-verify`` refuses a link replayed from another run.
    """
    identity: JsonObject = {"deployment": deployment, "dag_id": dag_id, "run_id": run_id}
    return f"atlas:run/{deployment}/{dag_id}/{run_id}", sha256_hex(canonical_json(identity))


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRun:
    """One try of one task instance.

    ``deployment`` names the Airflow installation; ``logical_date`` is as Airflow gave it, or None for a run
    without one; ``ti_id`` is Airflow's UUID of the attempt.
    """

    deployment: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    ti_id: str
    logical_date: str | None

    @classmethod
    def parse(cls, value: Json) -> "TaskRun":
        """Return the task run that ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "the task run")
        run = cls(
            deployment=fields.text("deployment"),
            dag_id=fields.text("dag_id"),
            run_id=fields.text("run_id"),
            task_id=fields.text("task_id"),
            map_index=fields.integer("map_index"),
            try_number=fields.integer("try_number"),
            ti_id=fields.text("ti_id"),
            logical_date=fields.optional("logical_date", fields.text),
        )
        fields.end()
        if run.map_index < UNMAPPED or run.try_number < 0:
            raise MalformedError("expected a map index of at least -1 and a try number of at least 0")
        return run

    def to_json(self) -> JsonObject:
        """Return the JSON object of this task run."""
        return {
            "deployment": self.deployment,
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "task_id": self.task_id,
            "map_index": self.map_index,
            "try_number": self.try_number,
            "ti_id": self.ti_id,
            "logical_date": self.logical_date,
        }

    @property
    def step(self) -> str:
        """The in-toto step that this execution is a link of."""
        return step_name(self.task_id, self.map_index)

    @property
    def resource(self) -> tuple[str, str]:
        """The name and SHA-256 (hex) by which a statement can have this execution itself as its subject."""
        name = f"atlas:exec/{self.deployment}/{self.dag_id}/{self.run_id}/{self.step}/{self.try_number}"
        return name, sha256_hex(canonical_json(self.to_json()))

    @property
    def material(self) -> tuple[str, str]:
        """The material that stands for the run: see ``run_material``."""
        return run_material(self.deployment, self.dag_id, self.run_id)
