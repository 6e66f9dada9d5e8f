"""What a machine finds that installs the package: its commands, Airflow's doors, its pinned dependencies."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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
    names = {re.sub("[-_.]+", "-", re.match("[A-Za-z0-9._-]+", each)[0]).lower() for each in wanted}
    assert names <= pins().keys()


def test_the_pins_are_names_and_versions_and_nothing_else():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[a-z0-9.+!]+", line)] == []
    assert lines == sorted(set(lines))


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    return dict(line.split("==") for line in lines)


def run(program: str) -> str:
    """Run ``program`` in a new interpreter, for Airflow changes the one it is imported by; return its complaint."""
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    return result.stderr[-2000:] if result.returncode else ""
