"""The [atlas] settings as Airflow would have them, read without importing Airflow.

As in Airflow, ``AIRFLOW__ATLAS__<KEY>`` comes before the file ``$AIRFLOW_CONFIG`` (``$AIRFLOW_HOME/airflow.cfg``).
"""

import configparser
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.settings import Settings

_PREFIX = "AIRFLOW__ATLAS__"


def add_home(parser: ArgumentParser) -> None:
    """Add ``--home``, which comes before the settings."""
    parser.add_argument(
        "--home", metavar="DIR", help="where keys, log and archive lie; else [atlas] home of Airflow's settings"
    )


def settings_of(options: Namespace) -> Settings:
    """Return this machine's settings. Raises ConfigError for one that is not usable."""
    home = Path(os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow").expanduser().absolute()
    section = {**_file_section(home), **_environment_section()}
    if options.home is not None:
        section["home"] = str(Path(options.home).absolute())
    return Settings.parse(section, home=str(home / "atlas"))


def _environment_section() -> Mapping[str, str]:
    return {name[len(_PREFIX) :].lower(): value for name, value in os.environ.items() if name.startswith(_PREFIX)}


def _file_section(home: Path) -> Mapping[str, str]:
    path = Path(os.environ.get("AIRFLOW_CONFIG") or home / "airflow.cfg").expanduser()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, configparser.Error) as error:
        raise ConfigError(f"cannot read Airflow's settings in {path}") from error
    return dict(parser["atlas"]) if parser.has_section("atlas") else {}
