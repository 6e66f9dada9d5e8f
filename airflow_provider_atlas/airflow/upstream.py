"""The tasks before a task, and their records: what its link refers to, and what its inputs must equal."""

from collections.abc import Iterator, Mapping, Sequence

from airflow_provider_atlas.airflow.past import PastRecord, PastRun
from airflow_provider_atlas.airflow.pipeline_of import is_empty
from airflow_provider_atlas.airflow.task_run import Dag, Node, TaskInstance, ended_states
from airflow_provider_atlas.attest.execution import Upstream
from airflow_provider_atlas.errors import CaptureError
from airflow_provider_atlas.intoto.task_run import UNMAPPED, step_name


class UpstreamRecords:
    """The last records of the tasks directly before the task instance ``ti``.

    A task that the scheduler settles without a worker has no record: those before it stand in its place. Inside a
    mapped task group, only the instance of the same index counts.
    """

    def __init__(self, ti: TaskInstance, past: PastRun) -> None:
        self._ti = ti
        self._past = past
        self._dag: Dag = ti.task.dag
        self._records = {task_id: self._of(task_id) for task_id in sorted(set(self._before(ti.task_id)))}

    def upstream(self) -> Sequence[Upstream]:
        """Return what the link is to refer to."""
        return [
            Upstream(reference=record.reference, products=record.products)
            for records in self._records.values()
            for record in records
        ]

    def pushers(self, task_id: str, key: str) -> Sequence[int] | None:
        """Return the map indices that pushed the XCom ``key`` of a task of this run, ascending.

        None when that is not known, since no record of the task can be read.
        """
        node = self._dag.task_dict.get(task_id)
        if node is None:
            return None
        if not _groups_of(node) and not getattr(node, "is_mapped", False):
            return (UNMAPPED,)
        return [record.map_index for record in self._past.last_of_task(task_id) if key in record.pushed] or None

    def check_complete(self) -> None:
        """Raise CaptureError when a task before this one ran, and there is no record of it (``enforce``).

        Airflow is asked how they ended only where the records cannot show that they are all there.
        """
        if all(records and not self._has_several(task_id) for task_id, records in self._records.items()):
            return
        recorded = {record.reference.step for records in self._records.values() for record in records}
        for step, state in self._ended().items():
            if state == "success" and step not in recorded:
                raise CaptureError(f"expected a record of {step}, which Airflow says succeeded")

    def _of(self, task_id: str) -> Sequence[PastRecord]:
        if self._shares_group(task_id):
            record = self._past.last_of_step(step_name(task_id, self._index))
            return [record] if record else []
        return self._past.last_of_task(task_id)

    def _ended(self) -> Mapping[str, str]:
        wanted = {task_id: self._shares_group(task_id) for task_id in self._records}
        return {
            step_name(task_id, index): state
            for (task_id, index), state in ended_states(self._ti).items()
            if task_id in wanted and (not wanted[task_id] or index == self._index)
        }

    def _before(self, task_id: str) -> Iterator[str]:
        for upstream_id in self._dag.task_dict[task_id].upstream_task_ids:
            if is_empty(self._dag.task_dict[upstream_id]):
                yield from self._before(upstream_id)
            else:
                yield upstream_id

    def _has_several(self, task_id: str) -> bool:
        node = self._dag.task_dict[task_id]
        return not self._shares_group(task_id) and bool(getattr(node, "is_mapped", False) or _groups_of(node))

    def _shares_group(self, task_id: str) -> bool:
        own, other = self._dag.task_dict[self._ti.task_id], self._dag.task_dict[task_id]
        return self._index != UNMAPPED and bool(_groups_of(own) & _groups_of(other))

    @property
    def _index(self) -> int:
        return UNMAPPED if self._ti.map_index is None else self._ti.map_index


def _groups_of(node: Node) -> frozenset[str]:
    return frozenset(str(getattr(group, "group_id", id(group))) for group in node.iter_mapped_task_groups())
