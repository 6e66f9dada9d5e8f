"""The tasks of a DAG and their order, as every link of a run commits to it.

One honest link is enough to know what a run should have held: that is what makes a missing task visible.

::

    {"v": 1, "dag_id": "churn", "tasks": {"train": {"operator": "airflow…", "upstream": ["split"],
                                                    "mapped": true, "empty": false, "waits": true}}}

Canonical JSON; its SHA-256 is the ``pipeline`` of a link's code identity.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from airflow_provider_atlas.encoding import Fields, Json, JsonObject, canonical_json, parse_json, sha256_hex
from airflow_provider_atlas.errors import MalformedError

_VERSION = 1
_MAX_SIZE = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineTask:
    """A task: its operator's class, the ids of its direct upstreams (sorted), and three facts about its instances.

    ``mapped``: it has as many instances as there was input. ``empty``: the scheduler settles it without a worker,
    so it has no record. ``waits``: it starts only after every upstream ended (most trigger rules; not ``one_success``,
    ``one_failed``, ``one_done``, ``always``), so it must refer to all of their records.
    """

    operator: str
    upstream: tuple[str, ...]
    mapped: bool
    empty: bool
    waits: bool = True

    @classmethod
    def parse(cls, value: Json) -> "PipelineTask":
        """Return the task that ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "a task of the pipeline")
        upstream = fields.items("upstream")
        task = cls(
            operator=fields.text("operator"),
            upstream=tuple(item for item in upstream if isinstance(item, str)),
            mapped=fields.boolean("mapped"),
            empty=fields.boolean("empty"),
            waits=fields.boolean("waits"),
        )
        fields.end()
        if len(task.upstream) != len(upstream) or list(task.upstream) != sorted(set(task.upstream)):
            raise MalformedError("expected upstream task ids once each, sorted")
        return task

    def to_json(self) -> JsonObject:
        """Return the JSON object of this task."""
        return {
            "operator": self.operator,
            "upstream": list(self.upstream),
            "mapped": self.mapped,
            "empty": self.empty,
            "waits": self.waits,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A DAG, by its tasks. Every upstream is a task of it, and there is no cycle."""

    dag_id: str
    tasks: Mapping[str, PipelineTask]

    @classmethod
    def parse(cls, content: bytes) -> "Pipeline":
        """Return the pipeline in ``content``. Raises MalformedError when it is not one, in its one spelling."""
        if len(content) > _MAX_SIZE:
            raise MalformedError(f"expected a pipeline of at most {_MAX_SIZE} bytes")
        fields = Fields(parse_json(content), "the pipeline")
        if fields.integer("v") != _VERSION:
            raise MalformedError(f"expected a pipeline of version {_VERSION}")
        pipeline = cls(
            dag_id=fields.text("dag_id"),
            tasks={name: PipelineTask.parse(task) for name, task in fields.object("tasks").items()},
        )
        fields.end()
        pipeline.order()
        if pipeline.to_bytes() != content:
            raise MalformedError("expected the pipeline in its one spelling, canonical JSON")
        return pipeline

    def to_bytes(self) -> bytes:
        """Return the pipeline in canonical JSON."""
        tasks: JsonObject = {name: task.to_json() for name, task in self.tasks.items()}
        return canonical_json({"v": _VERSION, "dag_id": self.dag_id, "tasks": tasks})

    @property
    def sha256(self) -> str:
        """The SHA-256 of ``to_bytes`` in hex, which every link of a run commits to."""
        return sha256_hex(self.to_bytes())

    def order(self) -> list[str]:
        """Return the task ids with every upstream before its downstreams, otherwise by name.

        Raises MalformedError when an upstream is no task, or tasks wait for one another.
        """
        sorter = TopologicalSorter({name: task.upstream for name, task in self.tasks.items()})
        try:
            sorter.prepare()
        except CycleError as error:
            raise MalformedError("expected no task to wait for itself") from error
        ordered: list[str] = []
        while ready := sorted(sorter.get_ready()):
            ordered += ready
            sorter.done(*ready)
        if len(ordered) != len(self.tasks):
            raise MalformedError("expected every upstream to be a task of the pipeline")
        return ordered

    def ancestors(self, task_id: str) -> frozenset[str]:
        """Return the ids of every task before ``task_id``, however far. Raises KeyError when it is no task."""
        found: set[str] = set()
        pending = list(self.tasks[task_id].upstream)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += self.tasks[name].upstream
        return frozenset(found)
