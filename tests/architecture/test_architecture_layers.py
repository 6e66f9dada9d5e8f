"""The walls between the rooms: they stand, and something that crosses one is noticed."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "airflow_provider_atlas"


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Judge the package in ``folder`` by the contracts of the pyproject.toml beside it."""
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([program, "--no-cache", "--no-logo"], cwd=folder, capture_output=True, text=True, check=False)


def test_every_contract_is_kept():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("tee/evidence", "from airflow_provider_atlas.tlog import log", "layers"),
        ("verify/__init__", "from airflow_provider_atlas import attest", "layers"),
        ("intoto/__init__", "from airflow_provider_atlas.signing import signer", "layers"),
        ("verify/__init__", "def f():\n    import airflow", "airflow-at-the-edge"),
        ("cli/__init__", "import airflow.models", "airflow-at-the-edge"),
        ("cli/__init__", "import airflow_provider_atlas.tlog.backends", "backends-by-wiring"),
        ("tee/evidence", "import os", "pure-core"),
        ("attest/stray", "import time", "pure-core"),
        ("utils", "", "layers"),
    ],
)
def test_a_crossing_is_noticed(tmp_path: Path, module: str, line: str, contract: str):
    shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / PACKAGE / f"{module}.py").open("a") as source:
        source.write(f"\n{line}\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    said = " ".join(result.stdout.split())  # long names are wrapped
    assert f"{contract_name(contract)} BROKEN" in said


def contract_name(identity: str) -> str:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return next(contract["name"] for contract in contracts if contract["id"] == identity)
