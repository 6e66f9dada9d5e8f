"""An auditor verifies without Airflow, and a task pays for no library that it does not use."""

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = "airflow_provider_atlas"
ROOT = Path(__file__).parents[2]
EDGE = ("airflow", "operators", "decorators")
HEAVY = (
    "dcap_qvl",
    "in_toto",
    "jinja2",
    "requests",
    "rfc3161_client",
    "rich",
    "securesystemslib",
    "sigstore",
    "sklearn",
)

WITHOUT_AIRFLOW = """
import sys

class NoAirflow:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"airflow", "pendulum", "sqlalchemy"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoAirflow())
"""


def modules() -> list[str]:
    """Name every module of the package."""
    paths = [path.relative_to(ROOT).with_suffix("") for path in sorted((ROOT / PACKAGE).rglob("*.py"))]
    return [".".join(path.parts).removesuffix(".__init__") for path in paths]


def core() -> list[str]:
    """Name every module that does not face Airflow."""
    return [name for name in modules() if name.split(".")[1:2] not in [[each] for each in EDGE]]


def loaded_after(program: str) -> set[str]:
    """Run ``program`` in a new interpreter, and return the names that are in sys.modules at its end."""
    program += "\nimport sys\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def importing(names: list[str]) -> str:
    return "\n".join(f"import {name}" for name in names)


def test_importing_the_whole_core_leaves_airflow_alone():
    loaded = loaded_after(importing(core()))
    assert set(core()) <= loaded
    assert not loaded & {"airflow", "pendulum", "sqlalchemy"}


def test_the_whole_core_imports_where_airflow_is_not_installed():
    names = core()
    assert {f"{PACKAGE}.{room}" for room in ("cli.main", "bundle", "wiring", "recording")} <= set(names)
    assert set(names) <= loaded_after(WITHOUT_AIRFLOW + importing(names))


def test_the_stand_in_for_a_machine_without_airflow_refuses_it():
    with pytest.raises(AssertionError, match="No module named 'airflow'"):
        loaded_after(WITHOUT_AIRFLOW + "import airflow")


def test_making_evidence_loads_no_heavy_library():
    rooms = ("attest", "recording", "settings", "bundle", "intoto", "artifacts", "signing", "tee", "tlog", "wiring")
    names = [name for name in core() if name.split(".")[1:2] and name.split(".")[1] in rooms]
    formats_and_verbs = [name for name in names if ".backends." not in name]
    assert f"{PACKAGE}.wiring" in formats_and_verbs
    assert not {name.partition(".")[0] for name in loaded_after(importing(formats_and_verbs))} & set(HEAVY)


def test_describing_the_provider_loads_nothing():
    # Airflow calls it at each of its starts, on each of its machines.
    before = loaded_after("")
    described = loaded_after(f"from {PACKAGE}.get_provider_info import get_provider_info as f\nf()")
    assert described - before == {PACKAGE, f"{PACKAGE}.get_provider_info"}
