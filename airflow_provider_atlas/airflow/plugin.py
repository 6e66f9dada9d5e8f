"""The plugin that Airflow loads in every process, by its entry point ``airflow.plugins``. Light: see ``listener``."""

import sys

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_atlas.airflow.listener import AtlasListener, preload


class AtlasPlugin(AirflowPlugin):
    """Registers the listener."""

    name = "atlas"
    listeners = [AtlasListener()]  # noqa: RUF012 - as AirflowPlugin has it

    @classmethod
    def on_load(cls, *_args: object, **_kwargs: object) -> None:
        """Get ready to fork tasks in a Celery worker, which starts no job that ``on_starting`` would tell of."""
        if "celery" in sys.argv and "worker" in sys.argv:
            preload()
