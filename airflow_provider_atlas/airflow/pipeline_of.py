"""A DAG → the pipeline that every link of its runs commits to.

The worker has the DAG as its file declares it, the scheduler a serialized one; both give the same pipeline.
"""

from airflow_provider_atlas.airflow.task_run import Dag, Node, class_path
from airflow_provider_atlas.intoto.pipeline import Pipeline, PipelineTask

_IMPATIENT = frozenset({"one_success", "one_failed", "one_done", "always"})


def pipeline_of(dag: Dag) -> Pipeline:
    """Return all tasks of ``dag``, and their order."""
    return Pipeline(dag_id=dag.dag_id, tasks={task_id: _task_of(node) for task_id, node in dag.task_dict.items()})


def _task_of(node: Node) -> PipelineTask:
    return PipelineTask(
        operator=class_path(node),
        upstream=tuple(sorted(node.upstream_task_ids)),
        mapped=_is_mapped(node),
        empty=is_empty(node),
        # A str enumeration in one version, plain text in another: its value is the same word.
        waits=str(getattr(node.trigger_rule, "value", node.trigger_rule)) not in _IMPATIENT,
    )


def is_empty(node: Node) -> bool:
    """Whether the scheduler settles this task without a worker, as ``TaskInstance.is_task_schedulable`` has it.

    ``dag.test()`` runs such a task all the same. It is not attested there either: a run has the same records however
    it was run.
    """
    return bool(
        getattr(node, "inherits_from_empty_operator", False)
        and not getattr(node, "has_on_execute_callback", False)
        and not getattr(node, "has_on_success_callback", False)
        and not node.inlets
        and not node.outlets
    )


def _is_mapped(node: Node) -> bool:
    return bool(getattr(node, "is_mapped", False)) or next(node.iter_mapped_task_groups(), None) is not None
