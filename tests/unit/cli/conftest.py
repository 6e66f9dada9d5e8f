"""A run to command about, and a way to command: ``atlas("verify", …)`` gives the exit code and both streams."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_atlas.cli.main import main
from tests.support.attested_run import AttestedRun


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


Atlas = Callable[..., Answer]


@pytest.fixture
def atlas(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Atlas:
    """Run a command in this process, in a machine whose Airflow says nothing of Atlas."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "no-airflow"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        streams = capsys.readouterr()
        return Answer(code, streams.out, streams.err)

    return run


@pytest.fixture
def process(tmp_path: Path) -> Atlas:
    """Run a command in a process of its own, as people do."""

    def run(*arguments: object, **environment: str) -> Answer:
        program = "import sys; from airflow_provider_atlas.cli.main import main; sys.exit(main())"
        ended = subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "AIRFLOW_HOME": str(tmp_path / "no-airflow"), **environment},
        )
        return Answer(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture(scope="session")
def attested(tmp_path_factory: pytest.TempPathFactory) -> AttestedRun:
    """A complete, honest run. Tests copy what they change."""
    run = AttestedRun(tmp_path_factory.mktemp("attested")).complete()
    (run.folder / "policy.yaml").write_bytes(run.policy_document())
    return run


@pytest.fixture(scope="session")
def policy(attested: AttestedRun) -> Path:
    return attested.folder / "policy.yaml"
