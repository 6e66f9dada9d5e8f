"""What a log needs beyond this package, where its users chose not to install it."""

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_atlas.errors import ConfigError

_EXTRAS = {"obstore": "s3", "psycopg": "postgres"}


@contextmanager
def extras_installed() -> Iterator[None]:
    """Raise ConfigError that names the extra, when what is imported inside is missing because it was not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "")
        if extra is None:
            raise
        raise ConfigError(f"such a log needs {error.name}: install airflow-provider-atlas[{extra}]") from error
