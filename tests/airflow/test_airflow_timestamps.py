"""A time-stamp authority beside real tasks: it says when, and without it a record is not complete."""

import pytest

from tests.support.airflow_lab import Lab
from tests.support.time_stamping import Authority, serving

DAG = """
@task
def only():
    return 1

only()
"""


@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_each_record_of_a_task_is_stamped(lab: Lab, mode: str) -> None:
    authority = Authority()
    with serving(lambda query: (200, authority.answer(query))) as url:
        lab.configure(mode=mode, tsa=url)
        run = lab.run(DAG)
    assert run.state == "success"
    assert set(run.bundle("only").timestamps) == {"link"}


def test_in_observe_an_authority_that_is_away_breaks_nothing_and_a_later_task_finishes_the_record(lab: Lab) -> None:
    with serving(lambda query: (200, query)) as url:
        pass
    lab.configure(mode="observe", tsa=url)
    run = lab.run(DAG)
    assert run.state == "success"
    assert "1.bundle.json" not in run.names("only")
    authority = Authority()
    with serving(lambda query: (200, authority.answer(query))) as url:
        lab.configure(tsa=url)
        lab.run(DAG)
    assert set(run.bundle("only").timestamps) == {"link"}


def test_in_enforce_a_task_without_its_time_stamp_fails(lab: Lab) -> None:
    with serving(lambda _: (503, b"busy")) as url:
        lab.configure(mode="enforce", tsa=url)
        run = lab.run(DAG)
    assert run.states == {"only": "failed"}
