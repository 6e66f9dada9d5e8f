"""A real Airflow in this process, made once for all tests of a worker."""

import os
from pathlib import Path

import pytest

from tests.support.airflow_lab import Lab

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Airflow's own warnings are not ours to fail for; errors in ours show by what they do.
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def airflow_database() -> None:
    Path(os.environ["AIRFLOW_HOME"], "dags").mkdir(exist_ok=True)
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
    os.environ["AIRFLOW__OPENLINEAGE__DISABLED"] = "True"
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def lab(airflow_database: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:  # noqa: ARG001
    return Lab(tmp_path, monkeypatch)
