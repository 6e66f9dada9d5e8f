"""``@task.atlas``: a TaskFlow task that declares the files it reads and writes, and is attested by itself.

::

    @task.atlas(inputs=["/data/{{ ds }}.csv"], outputs=["/models/{{ ds }}.bin"])
    def train(): ...
"""

from collections.abc import Callable, Sequence
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory

from airflow_provider_atlas.airflow.capture import Declares, check_declaration
from airflow_provider_atlas.airflow.task_run import Context
from airflow_provider_atlas.airflow.wrapper import attested


class AtlasDecoratedOperator(Declares, DecoratedOperator, PythonOperator):
    """The operator behind ``@task.atlas``; see ``AtlasOperator`` for what ``inputs`` and ``outputs`` are."""

    custom_operator_name = "@task.atlas"
    # The arguments first: the files may be templates of them, as "{{ task.op_kwargs.path }}".
    template_fields: Sequence[str] = ("templates_dict", "op_args", "op_kwargs", "inputs", "outputs")
    ui_color = "#d7e8d4"

    def __init__(
        self,
        *,
        python_callable: Callable[..., object],
        op_args: Any,  # noqa: ANN401 - DecoratedOperator's
        op_kwargs: Any,  # noqa: ANN401 - DecoratedOperator's
        inputs: Sequence[object] = (),
        outputs: Sequence[object] = (),
        **kwargs: Any,  # noqa: ANN401 - BaseOperator's
    ) -> None:
        check_declaration(inputs, "inputs")
        check_declaration(outputs, "outputs")
        self.inputs = inputs
        self.outputs = outputs
        call = {"python_callable": python_callable, "op_args": op_args, "op_kwargs": op_kwargs}
        super().__init__(kwargs_to_upstream=call, **call, **kwargs)

    def execute(self, context: Context) -> object:
        """Call the function; return what it returns."""
        execute = super().execute
        return attested(self, context, lambda: execute(context))  # type: ignore[arg-type]  # as above

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> object:
        """Go on after a deferral."""
        resume = super().resume_execution
        return attested(self, context, lambda: resume(next_method, next_kwargs, context))  # type: ignore[arg-type]


def atlas_task(
    python_callable: Callable[..., object] | None = None,
    multiple_outputs: bool | None = None,
    **kwargs: Any,  # noqa: ANN401 - the operator's
) -> TaskDecorator:
    """Return the decorator that makes a task of a function; ``kwargs`` are its ``inputs``, ``outputs`` and the rest."""
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=AtlasDecoratedOperator,
        **kwargs,
    )
