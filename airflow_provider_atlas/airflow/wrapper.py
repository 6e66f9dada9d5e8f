"""What surrounds ``execute``: begin, run, finish, seal. The record is archived before Airflow hears of the result.

The task's own code runs as it would without us, and what it raises, it raises. What stands in its way is

- in ``enforce``, everything that keeps the record from being complete: before the task's own code, the task does
  not run; after it, the task fails. Both honour its retries, since a log that is away may be back;
- in every mode but ``off``, a declared input or output that is not there, which honours retries too;
- in ``observe``, nothing else. A record that cannot be finished is spooled, and a later task finishes it.

Airflow's ``execution_timeout`` is an alarm that raises wherever the process happens to be. It is about the task's own
code: the inputs are hashed before it is set, and it is stopped when that code is done, so that it never tears a
record in two. An alarm that strikes before we stop it is the task's, and the record says that the task failed.
"""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from airflow.sdk import exceptions

from airflow_provider_atlas.airflow import conf, opening
from airflow_provider_atlas.airflow.attempt import Attempt, Ending, begin_attempt
from airflow_provider_atlas.airflow.capture import DeclarationError
from airflow_provider_atlas.airflow.pipeline_of import is_empty
from airflow_provider_atlas.airflow.task_run import Context, Operator, TaskInstance, may_retry
from airflow_provider_atlas.airflow.trouble import AttestationStop, tell
from airflow_provider_atlas.airflow.xcoms import returned
from airflow_provider_atlas.attest.pending import PendingRecord, UnfinishedError, complete, defer, drain
from airflow_provider_atlas.errors import AtlasError, ConfigError
from airflow_provider_atlas.recording import Recording, recording
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.wiring.workers import Worker

_DRAINED_PER_TASK = 3
_SEEN = "_atlas_seen"

_logger = logging.getLogger(__name__)
_CURRENT: ContextVar[Attempt | None] = ContextVar("atlas_attempt", default=None)


class NotAttestedError(exceptions.AirflowException):
    """The task cannot be attested, so it must not go on. Airflow fails it, or tries again if it has retries."""


def attach(ti: TaskInstance) -> None:
    """Begin the execution of ``ti``, and surround its operator's ``execute`` and ``resume_execution``.

    For a listener, which Airflow calls when the operator is unmapped and rendered, before any of its code runs.
    Raises AttestationStop when the task must not run.
    """
    operator = ti.task
    if _SEEN in vars(operator):
        return
    object.__setattr__(operator, _SEEN, True)
    try:
        attempt = _begin(ti, ti.get_template_context)
    except NotAttestedError as error:
        raise AttestationStop(str(error)) from error
    if attempt is not None:
        _surround_methods(operator, ti, attempt)


def attested(operator: object, context: Context, call: Callable[[], object]) -> object:
    """Return ``call()``, attested, unless a listener has seen to it. For an operator that attests by itself.

    Raises NotAttestedError when the task must not run, or must fail.
    """
    if _SEEN in vars(operator) or _CURRENT.get() is not None:
        return call()
    ti: TaskInstance = context["ti"]  # type: ignore[assignment]  # Airflow's own key
    attempt = _begin(ti, lambda: context)
    return call() if attempt is None else _surround(attempt, ti, context, call)


def _begin(ti: TaskInstance, context: Callable[[], Context]) -> Attempt | None:
    settings = _settings()
    if settings is None or is_empty(ti.task.dag.task_dict[ti.task_id]):
        return None
    try:
        return begin_attempt(ti, context(), opening.worker(settings))
    except DeclarationError as error:
        raise NotAttestedError(str(error)) from error
    except Exception as error:
        if settings.mode == "enforce":
            raise NotAttestedError(f"the task is not attested, so it does not run: {error}") from error
        _admit("this task is not attested", error)
        return None


def _settings() -> Settings | None:
    try:
        return None if conf.mode() == "off" else conf.settings()
    except ConfigError as error:
        if conf.is_observe():
            _admit("this task is not attested", error)
            return None
        raise NotAttestedError(f"the task is not attested, so it does not run: {error}") from error


def _admit(what: str, error: Exception) -> None:
    if isinstance(error, AtlasError):
        tell(f"{what}: {error}")
    else:
        _logger.error("atlas: %s: unexpected %s", what, type(error).__name__, exc_info=error)


def _surround_methods(operator: Operator, ti: TaskInstance, attempt: Attempt) -> None:
    execute, resume_execution = operator.execute, operator.resume_execution

    def attested_execute(context: Context, **kwargs: object) -> object:
        return _surround(attempt, ti, context, lambda: execute(context, **kwargs))

    def attested_resume_execution(next_method: str, next_kwargs: dict[str, object] | None, context: Context) -> object:
        return _surround(attempt, ti, context, lambda: resume_execution(next_method, next_kwargs, context))

    # On the instance: it is this execution's own, and an operator's own __setattr__ means something.
    object.__setattr__(operator, "execute", attested_execute)
    object.__setattr__(operator, "resume_execution", attested_resume_execution)


def _surround(attempt: Attempt, ti: TaskInstance, context: Context, call: Callable[[], object]) -> object:
    if _CURRENT.get() is attempt:
        # An operator that is resumed with its own execute.
        return call()
    with _inside(attempt), recording() as recorded:
        try:
            result = call()
        except BaseException as error:
            _stop_the_clock(attempt.operator)
            _end(attempt, _ending_of(error, ti, context), recorded, ti, context)
            raise
        _stop_the_clock(attempt.operator)
        _end(attempt, _returning(result, ti, context), recorded, ti, context)
        return result


@contextmanager
def _inside(attempt: Attempt) -> Iterator[None]:
    token = _CURRENT.set(attempt)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def _stop_the_clock(operator: Operator) -> None:
    if operator.execution_timeout:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _returning(result: object, ti: TaskInstance, context: Context) -> Ending:
    try:
        return Ending(state="success", pushed=returned(result, ti.task))
    except Exception as error:  # noqa: BLE001 - Airflow is about to raise the same when it pushes the result
        return _failing(error, ti, context)


def _ending_of(error: BaseException, ti: TaskInstance, context: Context) -> Ending | None:
    """Return what Airflow is about to make of ``error``; None when the try goes on in another process."""
    away = (exceptions.TaskDeferred, exceptions.AirflowRescheduleException, _awaiting_input())
    if isinstance(error, away):
        return None
    if isinstance(error, exceptions.DagRunTriggerException):
        # The run is triggered after us. A task that waits for it comes back; otherwise it has done its work.
        return None if error.wait_for_completion and error.deferrable else Ending(state="success")
    if isinstance(error, exceptions.DownstreamTasksSkipped):
        return Ending(state="success")
    if isinstance(error, exceptions.AirflowSkipException):
        return Ending(state="skipped")
    return _failing(error, ti, context)


def _awaiting_input() -> type[BaseException]:
    return getattr(exceptions, "TaskAwaitingInput", exceptions.TaskDeferred)  # since Airflow 3.3


def _failing(error: BaseException, ti: TaskInstance, context: Context) -> Ending:
    final = (exceptions.AirflowFailException, exceptions.AirflowSensorTimeout, exceptions.AirflowTaskTerminated)
    again = not isinstance(error, final) and may_retry(ti, error, context)
    return Ending(state="up_for_retry" if again else "failed", error=type(error).__name__)


def _end(attempt: Attempt, ending: Ending | None, recorded: Recording, ti: TaskInstance, context: Context) -> None:
    if ending is None:
        return
    try:
        _seal(attempt.record(ending, recorded, context), attempt.worker, strict=attempt.strict)
    except Exception as error:
        if not ending.good or not (attempt.strict or isinstance(error, DeclarationError)):
            # A task that failed raises what it raised, whether or not that could be recorded.
            _admit(f"no record of a task that ended with {ending.state}", error)
            return
        failure = NotAttestedError(str(error))
        if not isinstance(error, UnfinishedError):
            _end(attempt, _failing(failure, ti, context), recorded, ti, context)
        raise failure from error


def _seal(record: PendingRecord, worker: Worker, *, strict: bool) -> None:
    try:
        if worker.sealer.deferring:
            defer(record, worker.sealer, worker.archive, worker.spool)
            return
        complete(record, worker.sealer, worker.archive)
    except UnfinishedError as error:
        # Also where the task fails for it: a start that was logged must not stay without an end.
        worker.spool.put(error.record.name, error.record.to_bytes())
        if strict:
            raise
        tell(f"the record is not finished yet, and was spooled: {error}")
    else:
        _drain(worker)


def _drain(worker: Worker) -> None:
    try:
        done, problems = drain(worker.spool, worker.sealer, worker.archive, at_most=_DRAINED_PER_TASK)
    except AtlasError as error:
        tell(f"the spool cannot be drained: {error}")
        return
    for problem in problems:
        tell(f"a spooled record is still not finished: {problem}")
    if done:
        _logger.info("atlas: finished %d spooled records", done)
