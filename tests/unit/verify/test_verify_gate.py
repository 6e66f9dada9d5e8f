"""A gate judges a run that is still running: what has begun before it must have ended, and nothing else must."""

import pytest

from airflow_provider_atlas.verify.run import Gate
from tests.support.attested_run import AttestedRun, outcome_of


@pytest.fixture
def run(tmp_path):
    """Everything before ``publish``, which is the gate here."""
    run = AttestedRun(tmp_path)
    run.write("raw.csv", b"1,2,3\n")
    run.record("ingest", ["raw.csv"], {"table": b"table"})
    run.record("train", ["table"], {"model": b"model"}, map_index=0)
    return run


def begin(run, segment, try_number=1):
    """Leave a start of a task in the archive, as one does that has not ended, or never will."""
    folder = run.run_folder / "tasks" / segment
    folder.mkdir(exist_ok=True)
    (folder / f"{try_number}.start.json").write_bytes(b"a start")


@pytest.mark.parametrize("segment", ["publish", "publish[3]"])
def test_the_gate_itself_has_begun_and_not_ended(run, segment):
    begin(run, segment)
    assert run.verify(gate=Gate(task_id="publish")).verdict == "passed"


@pytest.mark.parametrize("segment", ["train[1]", "ingest", "stranger", "publisher"])
def test_what_began_before_the_gate_and_never_ended_is_refused(run, segment):
    begin(run, segment, try_number=2)
    assert outcome_of(run.verify(gate=Gate(task_id="publish"))) == {"completeness": "failed"}


def test_what_runs_beside_the_gate_need_not_have_ended(run):
    begin(run, "train[1]")
    assert run.verify(gate=Gate(task_id="train")).verdict == "passed"


def test_without_a_gate_everything_that_began_must_have_ended(run):
    run.record("publish", ["model"], {"best": b"best"})
    run.end()
    assert run.verify().verdict == "passed"
    begin(run, "publish", try_number=2)
    assert outcome_of(run.verify()) == {"completeness": "failed"}
