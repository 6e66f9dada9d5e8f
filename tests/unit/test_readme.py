"""The README is short, and its DAG is one."""

import re
from pathlib import Path
from typing import Any

from airflow_provider_atlas.settings import Settings

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_it_is_at_most_six_hundred_words() -> None:
    assert len(README.split()) <= 600


def test_its_settings_are_real() -> None:
    section = re.search(r"\[atlas\]\n(.*?)```", README, re.DOTALL)
    assert section is not None
    lines = [line.split("#")[0].split("=") for line in section[1].splitlines() if line]
    settings = Settings.parse({key.strip(): value.strip() for key, value in lines}, home="/srv")
    assert settings.mode == "enforce"


def test_its_dag_has_the_three_tasks() -> None:
    source = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert source is not None
    namespace: dict[str, Any] = {}
    exec(source[1] + "\nfound = churn()\n", namespace)
    assert set(namespace["found"].task_dict) == {"clean", "train", "gate"}
