"""What a machine finds that installs the package: its commands, Airflow's doors, its pinned dependencies."""

import ast
import itertools
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "airflow_provider_atlas"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
GROUPS = {"scripts": PROJECT["scripts"]} | PROJECT["entry-points"]
ENTRY_POINTS = [(group, target) for group, entries in GROUPS.items() for target in entries.values()]


@pytest.mark.parametrize(("group", "target"), ENTRY_POINTS)
def test_every_entry_point_resolves(group: str, target: str):
    module, _, name = target.partition(":")
    assert run(f"import {module} as m\nassert callable(m.{name})") == "", group


def test_airflow_takes_the_plugin_and_the_description():
    program = """
import importlib, importlib.resources, json, jsonschema
from airflow.plugins_manager import AirflowPlugin
from airflow_provider_atlas.airflow.plugin import AtlasPlugin
from airflow_provider_atlas.get_provider_info import get_provider_info

assert issubclass(AtlasPlugin, AirflowPlugin)
schema = json.loads(importlib.resources.files("airflow").joinpath("provider_info.schema.json").read_text())
jsonschema.validate(get_provider_info(), schema)
for decorator in get_provider_info().get("task-decorators", []):
    module, _, name = decorator["class-name"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))
"""
    assert run(program) == ""


def test_every_direct_dependency_is_pinned():
    wanted = [
        *PROJECT["dependencies"],
        *(each for extra in PROJECT["optional-dependencies"].values() for each in extra),
    ]
    assert {requirement_name(each) for each in wanted} <= pins().keys()


def test_the_pins_are_names_and_versions_and_nothing_else():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[a-z0-9.+!]+", line)] == []
    assert lines == sorted(set(lines))


def normalized(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def requirement_name(requirement: str) -> str:
    name = re.match("[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return normalized(name[0])


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    return dict(line.split("==") for line in lines)


def run(program: str) -> str:
    """Run ``program`` in a new interpreter, for Airflow changes the one it is imported by; return its complaint."""
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    return result.stderr[-2000:] if result.returncode else ""


def test_what_is_imported_is_declared_and_what_is_declared_is_imported():
    # That Airflow brings a library today is no promise that it will tomorrow.
    distributions = packages_distributions()
    imported = {name for path in (ROOT / PACKAGE).rglob("*.py") for name in top_level_imports(path)}
    foreign = imported - sys.stdlib_module_names - {PACKAGE, "airflow"}  # a name that many distributions share
    used = {normalized(each) for name in foreign for each in distributions[name]}
    backends = (PROJECT["optional-dependencies"][extra] for extra in ("fuse", "postgres", "s3"))
    declared = {requirement_name(each) for each in (*PROJECT["dependencies"], *itertools.chain(*backends))}
    assert used == {each for each in declared if not each.startswith("apache-airflow")}


def top_level_imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found
