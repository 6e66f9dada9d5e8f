"""What we read off Airflow's objects in a task's process. When Airflow changes, this file changes.

Written against the task SDK 1.3 (Airflow 3.3). ``dag.test()`` builds a task instance without a DAG bundle, and older
versions lack this or that: what may be missing is asked for with a default.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from airflow_provider_atlas.errors import AttestingError
from airflow_provider_atlas.intoto.task_run import UNMAPPED, TaskRun

_DAG_MODULE = re.compile(r"unusual_prefix_[0-9a-f]{40}_")

NO_BUNDLE = "none"
"""The name of the DAG bundle of a task that ``dag.test()`` runs: there is none."""


class Node(Protocol):
    """A task of a DAG as its file declares it: an operator, or one that is still to be mapped."""

    task_id: str
    task_type: str
    upstream_task_ids: set[str]
    trigger_rule: str
    inlets: list[object]
    outlets: list[object]

    def iter_mapped_task_groups(self) -> Iterator[object]:
        """Return the mapped task groups around this task, the innermost first."""
        ...


class Dag(Protocol):
    """A DAG as its file declares it, or as the scheduler keeps it."""

    dag_id: str
    fileloc: str
    task_dict: Mapping[str, Node]


class Operator(Protocol):
    """The operator of a task instance: unmapped, its fields rendered."""

    task_id: str
    dag: Dag
    template_fields: Sequence[str]
    inlets: list[object]
    outlets: list[object]
    execution_timeout: object
    do_xcom_push: bool
    multiple_outputs: bool
    execute: Callable[..., object]
    resume_execution: Callable[..., object]


class TaskInstance(Protocol):
    """Airflow's ``RuntimeTaskInstance``."""

    id: object
    dag_id: str
    run_id: str
    task_id: str
    try_number: int
    map_index: int | None
    task: Operator

    def get_template_context(self) -> "Context":
        """Return the context that templates are rendered with, and ``execute`` is called with."""
        ...


Context = Mapping[str, object]
"""What Airflow hands to ``execute``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DagBundle:
    """Where a DAG's files came from: the bundle's name, its version (a commit) or None, its folder or None."""

    name: str
    version: str | None
    folder: str | None


def task_run_of(ti: TaskInstance, deployment: str) -> TaskRun:
    """Return which execution ``ti`` is, in the Airflow installation ``deployment``."""
    logical_date = getattr(_dag_run(ti), "logical_date", None)
    return TaskRun(
        deployment=deployment,
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=UNMAPPED if ti.map_index is None else ti.map_index,
        try_number=ti.try_number,
        ti_id=str(ti.id),
        logical_date=logical_date.isoformat() if isinstance(logical_date, datetime) else None,
    )


def dag_bundle_of(ti: TaskInstance) -> DagBundle:
    """Return the DAG bundle that the task process parsed its DAG from."""
    bundle = getattr(ti, "bundle_instance", None)
    if bundle is None:
        return DagBundle(name=NO_BUNDLE, version=None, folder=None)
    return DagBundle(name=bundle.name, version=bundle.version, folder=str(bundle.path))


def class_path(node: object) -> str:
    """Return the module and name of the class that a task is an operator of: declared, mapped or serialized."""
    kind = getattr(node, "operator_class", None)
    kind = kind if isinstance(kind, type) else type(node)
    # A serialized task names its class, and is of another; and a class of the DAG file itself is in a module that
    # Airflow names after the file's absolute path, which differs from worker to worker.
    module = str(getattr(node, "_task_module", None) or kind.__module__)
    return f"{_DAG_MODULE.sub('', module)}.{getattr(node, 'task_type', None) or kind.__name__}"


def conf_of(ti: TaskInstance) -> object:
    """Return what whoever triggered the run gave it, or None."""
    return getattr(_dag_run(ti), "conf", None)


def has_resumed(ti: TaskInstance) -> bool:
    """Whether this process goes on with a try that was deferred or rescheduled, and began in another."""
    server = getattr(ti, "_ti_context_from_server", None)
    return bool(getattr(server, "next_method", None) or getattr(server, "task_reschedule_count", 0))


def may_retry(ti: TaskInstance, error: BaseException, context: Context) -> bool:
    """Whether Airflow will try again after ``error``: what its task runner is about to decide.

    A retry policy is asked as the runner asks it; one that raises decides nothing there, and nothing here.
    """
    server = getattr(ti, "_ti_context_from_server", None)
    if not getattr(server, "should_retry", False):
        return False
    policy = getattr(ti.task, "retry_policy", None)
    if policy is None:
        return True
    try:
        decision = policy.evaluate(
            exception=error, try_number=ti.try_number, max_tries=getattr(server, "max_tries", 0), context=context
        )
    except Exception:  # noqa: BLE001 - the runner, too, goes on without a policy that raises
        return True
    return bool(decision.action.value != "fail")


def _dag_run(ti: TaskInstance) -> object:
    return getattr(getattr(ti, "_ti_context_from_server", None), "dag_run", None)


def ended_states(ti: TaskInstance) -> Mapping[tuple[str, int], str]:
    """Return how the task instances of this run that have ended did so: (task id, map index) → Airflow's state.

    This asks Airflow's API. Raises AttestingError when it does not say.
    """
    try:
        rows = getattr(ti, "get_task_breadcrumbs")(dag_id=ti.dag_id, run_id=ti.run_id)  # noqa: B009 - not in 3.1
        return {(str(row["task_id"]), int(row["map_index"])): str(_value(row["state"])) for row in rows}
    except Exception as error:
        # Whatever the channel, the API or the answer's shape may be raising.
        raise AttestingError("Airflow does not say how the tasks of this run ended") from error


def _value(state: object) -> object:
    return getattr(state, "value", state)
