"""The folder of ``atlas demo``: what lies where, and how it is made ready for a run.

::

    airflow/       an Airflow home of its own       data/         what the pipeline reads and writes
    archive/       the records, by run              keys/ tee/    the keys, and the simulated TEE
    log/           the transparency log             policy.yaml   whom the verification trusts
    report.json    the verification's report        report.html   the same, as a page
    tampered/      the run with one digest changed  airflow.log   what Airflow said
"""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import airflow_provider_atlas
from airflow_provider_atlas.artifacts.archive import run_path
from airflow_provider_atlas.cli.arguments import write_file
from airflow_provider_atlas.errors import ConfigError, MissingError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.wiring import runs

DAG_ID = "atlas_ml_pipeline"
"""The pipeline that the demonstration runs: ``dags/atlas_ml_pipeline.py``."""

_MARK = ".atlas-demo"
_FOLDERS = ("airflow", "archive", "data", "keys", "log", "spool", "tampered", "tee")
_FILES = ("airflow.log", "policy.yaml", "report.html", "report.json")


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """The folder, at an absolute path."""

    path: Path

    @property
    def settings(self) -> Settings:
        """The settings that the pipeline is attested by."""
        return Settings.parse(self._section(), home=str(self.path))

    @property
    def policy(self) -> Path:
        """The policy that the run is judged by."""
        return self.path / "policy.yaml"

    @property
    def log_file(self) -> Path:
        """What Airflow says while it works."""
        return self.path / "airflow.log"

    def prepare(self) -> None:
        """Make the folder ready: empty but for keys, log, simulated TEE and the policy that trusts these.

        What an earlier demonstration left in it is removed. Raises ConfigError when it holds anything else.
        """
        self._clear()
        write_file(self.path / _MARK, b"atlas demo made this folder, and empties it when it runs here again\n")
        (self.path / "airflow").mkdir()
        (self.path / "data").mkdir()
        write_file(self.policy, runs.policy_for(self.settings, name="demo"))

    def environment(self, outside: Mapping[str, str]) -> Mapping[str, str]:
        """Return ``outside`` without what it says to Airflow, and with what this folder does."""
        kept = {name: value for name, value in outside.items() if not name.startswith(("AIRFLOW", "ATLAS_DEMO"))}
        section = {f"AIRFLOW__ATLAS__{key.upper()}": value for key, value in self._section().items()}
        return {
            **kept,
            **section,
            "AIRFLOW_HOME": str(self.path / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(pipeline_folder()),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
            "AIRFLOW__OPENLINEAGE__DISABLED": "True",
            "ATLAS_DEMO_DATA": str(self.path / "data"),
            # Two streams go to one log: in the order in which they were written, or its last lines are not the last.
            "PYTHONUNBUFFERED": "1",
        }

    def runs(self) -> list[Path]:
        """Return the folders of the runs in the archive: one, when the demonstration has begun to work."""
        folder = self.path.joinpath("archive", *run_path(DAG_ID, "")[:1])
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def run(self) -> Path:
        """Return the folder of the one run. Raises MissingError when there is none, or another."""
        runs = self.runs()
        if len(runs) != 1:
            raise MissingError(f"expected one run of {DAG_ID} in {self.path / 'archive'}, and found {len(runs)}")
        return runs[0]

    def _section(self) -> Mapping[str, str]:
        return {
            "mode": "enforce",
            "deployment": "demo",
            "home": str(self.path),
            "attester": f"simulated:{self.path / 'tee'}",
            "policy": str(self.policy),
        }

    def _clear(self) -> None:
        if "%" in str(self.path):
            raise ConfigError(
                f"Airflow cannot work in {self.path}: it reads % in a path as its own; choose another --out"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            found = {entry.name for entry in self.path.iterdir()}
            if found and _MARK not in found:
                raise ConfigError(f"{self.path} is not empty, and no earlier demo: name another folder with --out")
            for name in found & set(_FOLDERS):
                shutil.rmtree(self.path / name)
            for name in found & {*_FILES, _MARK}:
                (self.path / name).unlink()
        except OSError as error:
            raise ConfigError(f"cannot write to {self.path}: {error.strerror}") from error


def pipeline_folder() -> Path:
    """Return the folder that the pipeline is in: inside an installed package, beside the package in a checkout.

    Raises ConfigError when it is in neither.
    """
    package = Path(airflow_provider_atlas.__file__).parent
    for folder in (package / "example_dags", package.parent / "dags"):
        if (folder / f"{DAG_ID}.py").is_file():
            return folder
    raise ConfigError(f"the pipeline {DAG_ID}.py was not installed with this package: install it again")


def check_installed() -> None:
    """Raise ConfigError, with what to do, unless the libraries that the pipeline needs are there."""
    missing = [name for name in ("airflow", "sklearn") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the demo needs {' and '.join(missing)}: run {os.path.basename(sys.executable)} -m pip install "
            "'airflow-provider-atlas[demo]'"
        )
