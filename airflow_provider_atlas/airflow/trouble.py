"""How trouble is told, and how it stops a task. Imports nothing: it must be there when nothing else can be loaded."""

import logging

_logger = logging.getLogger("airflow_provider_atlas")


class AttestationStop(BaseException):
    """The task must not run. Of what a listener raises, Airflow heeds only this kind; it honours retries."""


def tell(trouble: object) -> None:
    """Log what went wrong: one line at ERROR, for people, in the log of the task or of the scheduler."""
    _logger.error("atlas: %s", trouble)
