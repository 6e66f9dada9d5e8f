"""Complete the records that wait for the log to sign (``log_integration = deferred``), where somebody needs them."""

from airflow_provider_atlas.airflow import opening
from airflow_provider_atlas.airflow.trouble import tell
from airflow_provider_atlas.attest.pending import drain
from airflow_provider_atlas.settings import Settings

_AT_ONCE = 10_000


def finish_records(settings: Settings) -> None:
    """Complete what waits in the spool; what cannot be completed goes on waiting, and a line in the log says so.

    Raises ArchiveError when the spool itself cannot be read.
    """
    if settings.log_integration == "deferred":
        worker = opening.worker(settings)
        _, problems = drain(worker.spool, worker.sealer, worker.archive, at_most=_AT_ONCE)
        for problem in problems:
            tell(f"a spooled record is still not finished: {problem}")
