"""The ``[atlas]`` section of Airflow's configuration → Settings. Environment variables (AIRFLOW__ATLAS__*) count.

When the section is wrong, the mode decides all the same, as far as it can be read: ``off`` stays off, ``observe``
lets tasks run unattested and says so at ERROR, anything else stops them. A typo must not turn ``enforce`` off.
"""

import os

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.settings import DEFAULTS, Settings

SECTION = "atlas"
"""The name of the section."""

# What Airflow answers for a section of this name that nobody wrote: its fallback defaults still have one of the
# integration with Apache Atlas, which it gave up in 2.0. Set to anything else, these are unknown settings.
_NOT_OURS = {"sasl_enabled": "False", "host": "", "port": "21000", "username": "", "password": ""}


def settings() -> Settings:
    """Return the settings, complete and checked. Raises ConfigError for an unknown key or a value that is not one."""
    from airflow.configuration import AIRFLOW_HOME

    return Settings.parse(section(), home=os.path.join(os.path.abspath(AIRFLOW_HOME), "atlas"))


def mode() -> str:
    """Return what the section has as ``mode``, whether or not that, or the rest, is usable.

    Raises ConfigError when Airflow itself cannot read it.
    """
    from airflow.configuration import conf
    from airflow.exceptions import AirflowConfigException

    try:
        return str(conf.get(SECTION, "mode", fallback="") or "").strip() or DEFAULTS["mode"]
    except (AirflowConfigException, ValueError) as error:
        raise ConfigError(f"[{SECTION}] mode cannot be read: {error}") from error


def is_observe() -> bool:
    """Whether tasks may run that cannot be attested. Only where it can be read that they may."""
    try:
        return mode() == "observe"
    except ConfigError:
        return False


def is_local() -> bool:
    """Whether the scheduler runs tasks on its own machine, all or some: ``[core] executor`` may name several."""
    from airflow.configuration import conf

    return "LocalExecutor" in str(conf.get("core", "executor", fallback=""))


def section() -> dict[str, str]:
    """Return the section as it is written. Raises ConfigError when Airflow itself cannot read it."""
    from airflow.configuration import conf
    from airflow.exceptions import AirflowConfigException

    try:
        # getsection() knows the keys, those of the environment too; but it makes numbers of what looks like one.
        values = {
            key: value if isinstance(value, str) else str(conf.get(SECTION, key, fallback="") or "")
            for key, value in (conf.getsection(SECTION) or {}).items()
        }
    except (AirflowConfigException, ValueError) as error:
        raise ConfigError(f"[{SECTION}] cannot be read: {error}") from error
    return {key: value for key, value in values.items() if _NOT_OURS.get(key) != value}
