"""What happens around tasks in ``enforce``: without a complete record, no success; without what it needs, no start."""

import json
from pathlib import Path

import pytest

from airflow_provider_atlas.attest.pending import PendingRecord
from airflow_provider_atlas.intoto.statement import Statement
from tests.support.airflow_lab import DEFERS, Lab

TOUCHES = """
BashOperator(task_id="touches", bash_command=f"touch {DATA}/touched")
"""


@pytest.fixture(autouse=True)
def enforcing(lab: Lab) -> None:
    lab.configure(mode="enforce", attester=f"simulated:{lab.home}/tee")


def test_a_start_is_logged_before_and_a_run_verifies_by_a_policy_that_asks_for_it(lab: Lab) -> None:
    (lab.data / "in").write_text("in")
    run = lab.run(
        """
        make = AtlasOperator(
            task_id="make", inputs=[DATA + "/in"], outputs=[DATA + "/out"], bash_command=f"cp {DATA}/in {DATA}/out"
        )
        use = AtlasOperator(task_id="use", inputs=[DATA + "/out"], bash_command="true")
        make >> use
        """
    )
    assert run.state == "success"
    report = run.verify()
    assert report.verdict == "passed", report.failures
    bundle, link = run.bundle("make"), run.link("make")
    assert set(bundle.envelopes) == {"start", "link", "provenance", "tee"}
    assert bundle.receipts["start"].index < bundle.receipts["link"].index
    start = Statement.parse(bundle.envelopes["start"].payload)
    assert start.predicate["nonce"] == link.environment.nonce.hex()
    assert f"file://{lab.data}/in" in json.dumps(start.predicate["materials"])


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("log", "posix:{home}/a-file"),
        ("log", "https://log.example.org"),
        ("signer", "file:{home}/no-such-key.pem"),
        ("archive", "file:{home}/a-file"),
        ("attester", "sgx:"),
        ("mdoe", "enforce"),
    ],
)
def test_without_what_attesting_needs_no_task_runs(lab: Lab, setting: str, value: str) -> None:
    lab.home.mkdir()
    (lab.home / "a-file").write_text("in the way")
    lab.configure(**{setting: value.format(home=lab.home)})
    run = lab.run(TOUCHES)
    assert run.states == {"touches": "failed"}
    assert not (lab.data / "touched").exists()


def test_a_mode_that_is_none_stops_tasks(lab: Lab) -> None:
    lab.configure(mode="enforced")
    assert lab.run(TOUCHES).states == {"touches": "failed"}
    assert not (lab.data / "touched").exists()


def test_a_log_of_somebody_else_stops_tasks(lab: Lab) -> None:
    assert lab.run(TOUCHES).state == "success"
    (lab.data / "touched").unlink()
    lab.configure(log_origin="somebody.else/log")
    assert lab.run(TOUCHES).states == {"touches": "failed"}
    assert not (lab.data / "touched").exists()


def test_a_task_that_must_not_run_is_tried_again(lab: Lab) -> None:
    lab.home.mkdir()
    (lab.home / "in-the-way").write_text("")
    lab.configure(log=f"posix:{lab.home}/in-the-way")
    # What stands in the way leaves between the tries, by the hand of the first one's callback.
    run = lab.run(
        """
        import pathlib

        BashOperator(
            task_id="touches",
            bash_command=f"touch {DATA}/touched",
            retries=1,
            retry_delay=0,
            on_retry_callback=lambda context: pathlib.Path(DATA, "../atlas/in-the-way").unlink(),
        )
        """
    )
    assert run.states == {"touches": "success"}
    assert run.names("touches") == ["2.bundle.json", "2.openings.json", "2.start.json"]


def test_a_record_that_cannot_be_finished_fails_a_task_that_succeeded(lab: Lab) -> None:
    run = lab.run(
        """
        import shutil

        @task
        def breaks_the_log():
            shutil.rmtree(DATA + "/../atlas/log")
            open(DATA + "/../atlas/log", "w").write("")

        breaks_the_log()
        """
    )
    assert run.states == {"breaks_the_log": "failed"}
    assert run.names("breaks_the_log") == ["1.start.json"]
    # The start is logged and must not stay without an end: what the task did is kept until it can be told.
    (spooled,) = Path(lab.home / "spool").iterdir()
    assert PendingRecord.parse(spooled.read_bytes()).link.outcome.state == "success"


def test_a_failing_task_raises_its_own_error_though_its_record_fails_too(lab: Lab) -> None:
    run = lab.run(
        """
        import pathlib, shutil

        @task(on_failure_callback=lambda context: pathlib.Path(DATA, "error").write_text(repr(context["exception"])))
        def fails():
            shutil.rmtree(DATA + "/../atlas/log")
            open(DATA + "/../atlas/log", "w").write("")
            raise ValueError("mine")

        fails()
        """
    )
    assert run.states == {"fails": "failed"}
    assert (lab.data / "error").read_text() == "ValueError('mine')"


def test_an_input_that_was_swapped_on_the_way_stops_the_task_that_was_to_read_it(lab: Lab) -> None:
    run = lab.run(
        """
        out = DATA + "/table"
        make = AtlasOperator(task_id="make", outputs=[out], bash_command=f"echo good > {out}")
        swap = BashOperator(task_id="swap", bash_command=f"echo bad > {out}")
        use = AtlasOperator(task_id="use", inputs=[out], bash_command=f"touch {DATA}/touched")
        make >> swap >> use
        make >> use
        """
    )
    assert run.states == {"make": "success", "swap": "success", "use": "failed"}
    assert not (lab.data / "touched").exists()


def test_a_task_does_not_start_after_one_whose_record_is_gone(lab: Lab) -> None:
    run = lab.run(
        """
        import pathlib

        @task
        def first():
            pass

        @task
        def second(run_id=None):
            for record in pathlib.Path(DATA, "../atlas/archive").glob("*/*/tasks/first/*.bundle.json"):
                record.unlink()

        @task
        def third():
            pathlib.Path(DATA, "touched").touch()

        one, two, three = first(), second(), third()
        one >> two >> three
        one >> three
        """
    )
    assert run.states == {"first": "success", "second": "success", "third": "failed"}
    assert not (lab.data / "touched").exists()


def test_a_mapped_instance_whose_record_is_gone_is_missed(lab: Lab) -> None:
    run = lab.run(
        """
        import pathlib

        @task
        def mapped(number):
            return number

        @task
        def removes():
            for record in pathlib.Path(DATA, "../atlas/archive").glob("*/*/tasks/mapped[[]1]/*.bundle.json"):
                record.unlink()

        @task
        def last(numbers):
            pathlib.Path(DATA, "touched").touch()

        numbers = mapped.expand(number=[1, 2, 3])
        end = last(numbers)
        numbers >> removes() >> end
        """
    )
    assert run.states["last"] == "failed"
    assert not (lab.data / "touched").exists()


def test_a_task_before_that_was_skipped_is_not_missed(lab: Lab) -> None:
    run = lab.run(
        """
        short = ShortCircuitOperator(
            task_id="short", python_callable=lambda: False, ignore_downstream_trigger_rules=False
        )
        skipped = BashOperator(task_id="skipped", bash_command="true")
        last = BashOperator(task_id="last", bash_command="true", trigger_rule="none_failed")
        short >> skipped >> last
        """
    )
    assert run.states == {"short": "success", "skipped": "skipped", "last": "success"}
    assert run.verify().verdict == "passed"


def test_an_asset_that_is_a_file_and_is_not_there_stops_a_task_that_reads_it(lab: Lab) -> None:
    run = lab.run(
        """
        BashOperator(
            task_id="touches", bash_command=f"touch {DATA}/touched", inlets=[Asset(f"file://{DATA}/gone")]
        )
        """
    )
    assert run.states == {"touches": "failed"}
    assert not (lab.data / "touched").exists()


def test_an_asset_that_is_a_file_and_was_not_written_fails_a_task(lab: Lab) -> None:
    run = lab.run("BashOperator(task_id='t', bash_command='true', outlets=[Asset(f'file://{DATA}/x')])")
    assert run.states == {"t": "failed"}
    outcome = run.link("t").outcome
    assert (outcome.state, outcome.error) == ("failed", "NotAttestedError")


def test_a_deferred_task_goes_on_with_the_start_that_it_began_with(lab: Lab) -> None:
    run = lab.run(DEFERS)
    assert run.states == {"defers": "success", "after": "success"}
    bundle, link = run.bundle("defers"), run.link("defers")
    start = Statement.parse(bundle.envelopes["start"].payload)
    assert start.predicate["nonce"] == link.environment.nonce.hex()
    assert link.environment.resumed
    assert run.names("defers") == ["1.bundle.json", "1.openings.json", "1.start.json"]
    assert run.verify().verdict == "passed"


def test_a_deferred_task_does_not_go_on_with_another_input(lab: Lab) -> None:
    (lab.data / "in").write_text("before")
    run = lab.run(
        """
        import datetime, pathlib
        from airflow.sdk import BaseOperator
        from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

        class Defers(BaseOperator):
            def execute(self, context):
                pathlib.Path(DATA, "in").write_text("after")
                self.defer(trigger=TimeDeltaTrigger(datetime.timedelta(milliseconds=1)), method_name="done")

            def done(self, context, event=None):
                pathlib.Path(DATA, "touched").touch()

        AtlasOperator(task_id="outer", inputs=[DATA + "/in"], operator=Defers(task_id="inner"))
        """
    )
    assert run.states == {"outer": "failed"}
    assert not (lab.data / "touched").exists()


def test_a_gate_lets_a_good_run_pass_and_keeps_its_report(lab: Lab) -> None:
    lab.configure(policy=lab.write_policy())
    run = lab.run(
        """
        one = BashOperator(task_id="one", bash_command="true")
        gate = AtlasVerifyOperator(task_id="gate")
        one >> gate >> BashOperator(task_id="two", bash_command="true")
        """
    )
    assert run.state == "success"
    report = json.loads((run.folder / "gate.gate.1.report.json").read_bytes())
    assert report["verdict"] == "passed"
    assert run.verify().verdict == "passed"


def test_a_gate_holds_up_a_run_whose_record_was_changed(lab: Lab) -> None:
    lab.configure(policy=lab.write_policy())
    run = lab.run(
        """
        import pathlib

        one = BashOperator(task_id="one", bash_command="true", retries=0)
        gate = AtlasVerifyOperator(task_id="gate", retries=5, retry_delay=0)

        @task
        def tampers():
            for record in pathlib.Path(DATA, "../atlas/archive").glob("*/*/tasks/one/*.bundle.json"):
                record.write_bytes(record.read_bytes().replace(b"index ", b"index 1", 1))

        one >> tampers() >> gate >> BashOperator(task_id="two", bash_command="true")
        """
    )
    assert run.states["gate"] == "failed"
    assert run.states["two"] == "upstream_failed"
    # A bad verdict is no accident, so it is not tried again.
    assert "gate.gate.1.report.json" in {path.name for path in run.folder.iterdir()}
    assert "gate.gate.2.report.json" not in {path.name for path in run.folder.iterdir()}


def test_a_gate_can_judge_another_run(lab: Lab) -> None:
    lab.configure(policy=lab.write_policy())
    other = lab.run(TOUCHES)
    body = "AtlasVerifyOperator(task_id='gate', dag_id={!r}, run_id={!r})"
    assert lab.run(body.format(other.dag_id, other.run_id)).state == "success"
    assert lab.run(body.format(other.dag_id, "no_such_run")).state == "failed"


def test_a_gate_without_a_policy_is_shut(lab: Lab) -> None:
    assert lab.run("AtlasVerifyOperator(task_id='gate')").state == "failed"


def test_a_gate_is_shut_where_nothing_is_attested(lab: Lab) -> None:
    policy = lab.write_policy()
    lab.configure(mode="off", policy=policy)
    run = lab.run("BashOperator(task_id='one', bash_command='true') >> AtlasVerifyOperator(task_id='gate')")
    assert run.states == {"one": "success", "gate": "failed"}
