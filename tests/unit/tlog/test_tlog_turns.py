"""Who may build the tree: one at a time, and those that wait for it wait behind a gate, however its holder came in."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from airflow_provider_atlas.tlog.backends.posix_turns import turn, turn_or_wait


@pytest.mark.parametrize("held", [turn, turn_or_wait], ids=["queued for it", "found it free"])
def test_who_finds_it_held_waits_until_it_is_not(held: Callable[[str], AbstractContextManager[object]], tmp_path: Path):
    path, told, waited = str(tmp_path / "lock"), list[bool](), threading.Event()

    def come() -> None:
        with turn_or_wait(path) as mine:
            told.append(mine)
        waited.set()

    with held(path):
        other = threading.Thread(target=come)
        other.start()
        assert not waited.wait(0.3)
    other.join(10)
    assert told == [False]


def test_who_queues_holds_it_in_the_end(tmp_path: Path):
    path, order = str(tmp_path / "lock"), list[str]()

    def queue() -> None:
        with turn(path):
            order.append("second")

    with turn(path):
        other = threading.Thread(target=queue)
        other.start()
        other.join(0.2)
        order.append("first")
    other.join(10)
    assert order == ["first", "second"]
