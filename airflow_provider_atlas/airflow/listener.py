"""Airflow's events → what we make of them. Each hook translates and delegates; what it delegates to is loaded then.

Loaded in every Airflow process, so it imports nothing that is heavy.
"""

import sys
from collections.abc import Generator
from typing import Any

from airflow.listeners import hookimpl

from airflow_provider_atlas.airflow import conf
from airflow_provider_atlas.airflow.trouble import AttestationStop, tell
from airflow_provider_atlas.errors import ConfigError

_TASK_PROCESS = "TaskRunnerMarker"
_SCHEDULER = "airflow.jobs.scheduler_job_runner"


class AtlasListener:
    """The listener that attests tasks, and declares runs when they end."""

    @hookimpl
    def on_starting(self, component: object) -> None:
        """Get ready: a task's process to watch its XComs, a scheduler to fork task processes that are ready."""
        if type(component).__name__ == _TASK_PROCESS:
            _get_ready()
        elif _SCHEDULER in sys.modules:
            # The job has no type yet: Airflow tells of it while it is being made.
            preload()

    # A wrapper, and the outermost one: any other hook runs only as long as none before it raises.
    @hookimpl(wrapper=True, tryfirst=True)
    def on_task_instance_running(self, task_instance: object) -> Generator[None, None, None]:
        """Attest the execution of ``task_instance``, which is about to begin."""
        if _is_on():
            _attach(task_instance)
        return (yield)

    @hookimpl
    def on_dag_run_success(self, dag_run: object) -> None:
        """Declare what the run consisted of."""
        _declare(dag_run)

    @hookimpl
    def on_dag_run_failed(self, dag_run: object) -> None:
        """Declare what the run consisted of."""
        _declare(dag_run)


def preload() -> None:
    """Import and open what every task needs, for a process that forks them: they inherit it."""
    if not _is_on():
        return
    try:
        from airflow_provider_atlas.airflow import opening, run_manifest, wrapper  # noqa: F401 - for what they import
        from airflow_provider_atlas.airflow.code_identity import note_parent
        from airflow_provider_atlas.airflow.platform_of import distributions_sha256

        note_parent()
        distributions_sha256()
        opening.worker(settings := conf.settings())
        if _forks_tasks():
            opening.open_session(settings)
    except Exception as error:  # noqa: BLE001 - a process that only forks tasks has nothing to attest
        tell(f"tasks will not find what attests them ready: {error}")


def _forks_tasks() -> bool:
    """Whether tasks are forked from here. A scheduler whose tasks run elsewhere need not have a TEE."""
    return _SCHEDULER not in sys.modules or conf.is_local()


def _is_on() -> bool:
    try:
        return conf.mode() != "off"
    except ConfigError:
        return True


def _attach(ti: Any) -> None:  # noqa: ANN401 - Airflow's, and its types are not loaded here
    try:
        from airflow_provider_atlas.airflow.wrapper import attach

        attach(ti)
    except Exception as error:
        # Airflow would log it and run the task. It may, but only where it was said that it may.
        if not conf.is_observe():
            raise AttestationStop(f"the task is not attested, so it does not run: {error}") from error
        tell(f"this task is not attested: {error}")


def _get_ready() -> None:
    if _is_on():
        from airflow_provider_atlas.airflow.code_identity import note_start
        from airflow_provider_atlas.airflow.xcoms import watch

        watch()
        note_start()


def _declare(dag_run: Any) -> None:  # noqa: ANN401 - as above
    # In the scheduler's loop: whatever is raised here would end it.
    try:
        if _is_on():
            from airflow_provider_atlas.airflow.run_manifest import declare_run

            declare_run(dag_run)
    except Exception as error:  # noqa: BLE001
        tell(f"no manifest of the run {getattr(dag_run, 'run_id', '')}: {error}")
