"""Operators for DAG authors: ``AtlasOperator`` attests a task by itself, ``AtlasVerifyOperator`` is a gate.

::

    train = AtlasOperator(
        task_id="train",
        inputs=["/data/{{ ds }}.csv"],
        outputs=["/models/{{ ds }}.bin"],
        bash_command="python train.py /data/{{ ds }}.csv /models/{{ ds }}.bin",
    )
    gate = AtlasVerifyOperator(task_id="gate")

    train >> gate >> publish
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import BaseOperator, XComArg
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_provider_atlas.airflow import conf
from airflow_provider_atlas.airflow.capture import Declares, check_declaration
from airflow_provider_atlas.airflow.finishing import finish_records
from airflow_provider_atlas.airflow.task_run import Context, TaskInstance, ended_states
from airflow_provider_atlas.airflow.trouble import tell
from airflow_provider_atlas.airflow.wrapper import attested
from airflow_provider_atlas.artifacts.archive import Archive, path_segment, run_path
from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import ArchiveError, AtlasError, ConfigError, MissingError
from airflow_provider_atlas.intoto.task_run import UNMAPPED, step_name
from airflow_provider_atlas.settings import Settings, path_of
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.report import VerificationReport
from airflow_provider_atlas.verify.run import Gate
from airflow_provider_atlas.wiring import archives, runs

_MOST_REASONS = 10


class AtlasOperator(Declares, BaseOperator):
    """Runs another operator, a Python callable or a Bash command, and attests what it reads and writes.

    ``inputs`` and ``outputs`` are files or directories: absolute paths, ``file://`` URIs, or assets that are one;
    templates count. An input must be there when the task starts, an output when it has succeeded: otherwise the task
    fails, and is tried again if it has retries, in every mode but ``off``.

    Exactly one of ``operator``, ``python_callable`` (with ``op_args``, ``op_kwargs``) and ``bash_command`` (with
    ``env``, ``cwd``) says what to run. An ``operator`` is written in place, and taken out of the DAG again: its fields
    are rendered and its code runs as this task, whose retries, pool, queue and trigger rule count, not its own. With
    ``partial`` and ``expand``, use one of the other two.

    Raises ValueError, when the DAG is parsed, for anything else.
    """

    template_fields: Sequence[str] = ("inputs", "outputs", "operator")
    ui_color = "#d7e8d4"

    def __init__(  # noqa: PLR0913 - an operator's parameters are what its author writes
        self,
        *,
        inputs: Sequence[object] = (),
        outputs: Sequence[object] = (),
        operator: BaseOperator | None = None,
        python_callable: Callable[..., object] | None = None,
        op_args: Sequence[object] | None = None,
        op_kwargs: Mapping[str, object] | None = None,
        bash_command: str | None = None,
        env: dict[str, str] | None = None,
        cwd: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - BaseOperator's
    ) -> None:
        given = {"operator": operator, "python_callable": python_callable, "bash_command": bash_command}
        _check_one_of(given)
        check_declaration(inputs, "inputs")
        check_declaration(outputs, "outputs")
        self.inputs = inputs
        self.outputs = outputs
        task_id = str(kwargs.get("task_id", ""))
        if python_callable is not None:
            operator = PythonOperator(
                task_id=task_id, python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs
            )
        elif bash_command is not None:
            operator = BashOperator(task_id=task_id, bash_command=bash_command, env=env, cwd=cwd)
        # Airflow puts an operator into the DAG that is being declared as soon as it is made. It leaves before this
        # task comes, which may have the same id.
        self.operator = _taken_out(cast("BaseOperator", operator))
        super().__init__(**kwargs)
        self.inlets = [*self.inlets, *self.operator.inlets]
        self.outlets = [*self.outlets, *self.operator.outlets]

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:  # noqa: ANN401 - BaseOperator's
        """Return this operator with some of its parameters, to ``expand`` over the others."""
        if "operator" in kwargs:
            raise ValueError("AtlasOperator cannot be mapped with an operator: use python_callable or bash_command")
        return super().partial(**kwargs)

    def execute(self, context: Context) -> object:
        """Run what it was given; return what that returns."""
        return attested(self, context, lambda: self._run(context))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> object:
        """Go on after a deferral of what it was given."""
        resume = self.operator.resume_execution
        return attested(self, context, lambda: resume(next_method, next_kwargs, context))  # type: ignore[arg-type]

    def on_kill(self) -> None:
        """Clean up after what it was given."""
        self.operator.on_kill()

    def prepare_for_execution(self) -> "AtlasOperator":
        """Return a copy to execute: rendering changes what it was given, and another try renders again."""
        prepared = super().prepare_for_execution()
        prepared.operator = self.operator.prepare_for_execution()
        return prepared

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - BaseOperator's
        """Render ``content``; what it was given renders itself, since its template files have extensions of its own."""
        if content is self.operator:
            context, jinja_env = [*args, None, None][:2]
            content.render_template_fields(kwargs.get("context", context), kwargs.get("jinja_env", jinja_env))
            return content
        return super().render_template(content, *args, **kwargs)

    def resolve_template_files(self) -> None:
        """Read the template files of what it was given."""
        super().resolve_template_files()
        self.operator.resolve_template_files()

    def _run(self, context: Context) -> object:
        inner: Any = self.operator
        # Airflow warns of an operator that another one executes, unless it is told that this one is running.
        token = ExecutorSafeguard.tracker.set(inner)
        try:
            inner.pre_execute(context)
            result = inner.execute(context)
            inner.post_execute(context, result)
        finally:
            ExecutorSafeguard.tracker.reset(token)
        return result


class AtlasVerifyOperator(BaseOperator):
    """A gate: verifies the run so far, or another run, and fails unless the verdict is ``passed``.

    Without ``dag_id`` and ``run_id`` it judges everything before itself in its own run. With them, the run of that
    name, which must have ended. ``policy`` is the path of a policy; ``[atlas] policy`` where it is not given. The
    report lies beside the records of its own run, as ``gate.<task>.<try>.report.json``; the XCom is the verdict and
    the SHA-256 of the report.

    A bad verdict fails the task for good. What keeps it from a verdict, such as an archive that is away, honours
    retries. It judges whatever the mode is: where nothing was attested, it fails.
    """

    template_fields: Sequence[str] = ("target_dag_id", "target_run_id", "policy")
    ui_color = "#cfe3ea"

    def __init__(
        self,
        *,
        dag_id: str | None = None,
        run_id: str | None = None,
        policy: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - BaseOperator's
    ) -> None:
        super().__init__(**kwargs)
        self.target_dag_id = dag_id
        self.target_run_id = run_id
        self.policy = policy

    def execute(self, context: Context) -> dict[str, str]:
        """Verify; return the verdict and the SHA-256 of the report.

        Raises AirflowFailException with the checks that did not pass, and AirflowException when there is no verdict.
        """
        ti: Any = context["ti"]
        try:
            settings = conf.settings()
            archive = archives.open_archive(path_of(settings.archive, "file", "archive"))
            finish_records(settings)
            report = self._judged(ti, archive, self._read_policy(settings))
        except (ConfigError, MissingError) as error:
            raise AirflowFailException(f"there is nothing to judge, or to judge by: {error}") from error
        except AtlasError as error:
            raise AirflowException(f"there is no verdict: {error}") from error
        _keep(report, ti, archive)
        if report.verdict != "passed":
            reasons = [f"{check.number} {check.name} of {check.subject}: {check.detail}" for check in report.failures]
            raise AirflowFailException(f"the verdict is {report.verdict}: {'; '.join(reasons[:_MOST_REASONS])}")
        return {"verdict": report.verdict, "report_sha256": sha256_hex(report.to_bytes())}

    def _judged(self, ti: TaskInstance, archive: Archive, policy: Policy) -> VerificationReport:
        dag_id, run_id = self.target_dag_id or ti.dag_id, self.target_run_id or ti.run_id
        gate = None
        if (dag_id, run_id) == (ti.dag_id, ti.run_id):
            states = {step_name(*instance): state for instance, state in ended_states(ti).items()}
            gate = Gate(task_id=ti.task_id, states=states)
        return runs.verify_archive(archive, dag_id, run_id, policy, at=datetime.now(UTC), gate=gate)

    def _read_policy(self, settings: Settings) -> Policy:
        path = self.policy or settings.policy
        if not path:
            raise ConfigError("no policy: give AtlasVerifyOperator one, or set [atlas] policy")
        try:
            return Policy.parse(Path(path).read_bytes())
        except OSError as error:
            raise ConfigError(f"the policy {path} cannot be read: {error.strerror}") from error


def _check_one_of(given: Mapping[str, object]) -> None:
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        raise ValueError(f"AtlasOperator runs exactly one of {', '.join(given)}, not {' and '.join(names) or 'none'}")


def _taken_out(operator: BaseOperator) -> BaseOperator:
    """Return ``operator``, no longer a task of the DAG that it was made in.

    Raises ValueError when it was already related to other tasks: that would be lost.
    """
    dag = operator.get_dag()
    if dag is None or dag.task_dict.get(operator.task_id) is not operator:
        return operator
    # What its fields take from other tasks relates those to us as well: Airflow looks into our fields for it.
    implied = {source.task_id for source, _ in XComArg.iter_xcom_references(operator)}
    if operator.downstream_task_ids or operator.upstream_task_ids - implied:
        raise ValueError(
            f"{operator.task_id} is run by AtlasOperator: relate that to other tasks, not {operator.task_id}"
        )
    for task_id in operator.upstream_task_ids:
        dag.task_dict[task_id].downstream_task_ids.discard(operator.task_id)
    operator.upstream_task_ids.clear()
    dag._remove_task(operator.task_id)  # noqa: SLF001 - the DAG's own way to forget a task; it has no public one
    return operator


def _keep(report: VerificationReport, ti: TaskInstance, archive: Archive) -> None:
    step = step_name(ti.task_id, UNMAPPED if ti.map_index is None else ti.map_index)
    name = path_segment(f"gate.{step}.{ti.try_number}.report.json")
    try:
        archive.put((*run_path(ti.dag_id, ti.run_id), name), report.to_bytes())
    except ArchiveError as error:
        tell(f"the report is not kept: {error}")
