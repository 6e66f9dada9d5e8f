"""What happens around tasks in ``observe``, the mode that breaks none."""

import json
from pathlib import Path

import pytest

from airflow_provider_atlas.encoding import canonical_json, sha256_hex
from airflow_provider_atlas.wiring import runs
from tests.support.airflow_lab import DEFERS, Lab


def test_every_task_of_a_run_has_a_record_and_the_run_verifies(lab: Lab) -> None:
    run = lab.run(
        """
        @task
        def first():
            return {"a": [1, 2.5, None], "b": "text"}

        @task
        def double(number):
            return number * 2

        @task
        def total(numbers):
            return sum(numbers)

        def classic(**context):
            return "classic"

        bash = BashOperator(task_id="bash", bash_command="echo {{ ti.xcom_pull('first')['b'] }}")
        python = PythonOperator(task_id="python", python_callable=classic)
        join = EmptyOperator(task_id="join")
        doubled = double.expand(number=[1, 2, 3])
        first() >> bash >> python >> join >> doubled
        total(doubled)
        """
    )
    assert run.state == "success"
    report = run.verify()
    assert report.verdict == "passed", report.failures
    assert {record.step for record in report.records} == run.states.keys() - {"join"}
    assert {reference.step for reference in run.link("bash").environment.upstream} == {"first"}
    # The empty task between them has no record: what was before it stands in its place.
    assert {reference.step for reference in run.link("double[1]").environment.upstream} == {"python"}
    assert {reference.step for reference in run.link("total").environment.upstream} == {
        f"double[{n}]" for n in range(3)
    }
    assert not run.link("total").environment.unmeasured


def test_what_a_task_pulls_is_what_the_task_before_it_pushed(lab: Lab) -> None:
    run = lab.run(
        """
        @task(multiple_outputs=True)
        def several(ti=None):
            ti.xcom_push("by_hand", {"deep": [True, "ü"]})
            return {"one": 1, "two": [2.0, 1e300]}

        @task
        def mapped(number):
            return {"number": number}

        @task
        def lazy(rows):
            return [row["number"] for row in rows]

        @task
        def eager(rows, ti=None):
            return ti.xcom_pull("several", key="by_hand")

        outputs = several()
        rows = mapped.expand(number=[3, 1])
        lazy(rows)
        eager(outputs["two"]) << rows
        """
    )
    pushed = run.link("several").outcome.pushed
    assert pushed.keys() == {"by_hand", "one", "two", "return_value"}
    assert pushed["two"] == sha256_hex(canonical_json([2.0, 1e300]))
    assert run.link("eager").outcome.pulled == {
        "several/two": pushed["two"],
        "several/by_hand": pushed["by_hand"],
    }
    assert run.link("lazy").outcome.pulled == {
        f"mapped[{index}]/return_value": run.link(f"mapped[{index}]").outcome.pushed["return_value"] for index in (0, 1)
    }


def test_an_instance_of_a_mapped_task_that_pushed_nothing_shifts_no_name(lab: Lab) -> None:
    run = lab.run(
        """
        @task
        def odd(number):
            return number if number % 2 else None

        @task
        def gather(numbers):
            return list(numbers)

        gather(odd.expand(number=[2, 3, 4, 5]))
        """
    )
    assert run.link("gather").outcome.pulled.keys() == {"odd[1]/return_value", "odd[3]/return_value"}
    assert run.verify().verdict == "passed"


def test_inside_a_mapped_task_group_a_task_refers_to_its_own_index(lab: Lab) -> None:
    run = lab.run(
        """
        @task
        def inner(number):
            return number

        @task
        def after(number):
            return number + 1

        @task_group
        def group(number):
            after(inner(number))

        @task
        def last():
            pass

        group.expand(number=[1, 2]) >> last()
        """
    )
    assert run.state == "success"
    assert [item.step for item in run.link("group.after[1]").environment.upstream] == ["group.inner[1]"]
    assert [item.step for item in run.link("last").environment.upstream] == ["group.after[0]", "group.after[1]"]
    assert run.verify().verdict == "passed"


def test_a_task_that_skips_itself_has_a_record_and_one_that_is_skipped_has_none(lab: Lab) -> None:
    run = lab.run(
        """
        from airflow.sdk.exceptions import AirflowSkipException

        @task
        def skips():
            raise AirflowSkipException("not today")

        @task
        def skipped():
            pass

        short = ShortCircuitOperator(task_id="short", python_callable=lambda: False)
        skips()
        short >> skipped()
        """
    )
    assert run.states == {"skips": "skipped", "short": "success", "skipped": "skipped"}
    assert run.link("skips").outcome.state == "skipped"
    assert run.link("short").outcome.state == "success"
    assert run.names("skipped") == []
    assert run.verify().verdict == "passed"


def test_a_task_that_fails_raises_its_own_error_and_its_record_names_the_type_alone(lab: Lab) -> None:
    run = lab.run(
        """
        @task
        def fails():
            record_output(DATA + "/half")
            raise ValueError("the message may hold anything: s3cr3t-in-a-message")

        fails()
        """
    )
    assert run.states == {"fails": "failed"}
    outcome = run.link("fails").outcome
    assert (outcome.state, outcome.error) == ("failed", "ValueError")
    assert "s3cr3t-in-a-message" not in everything_in(lab.home)
    assert {check.name for check in run.verify().failures} == {"outcome"}


def test_each_try_has_its_record(lab: Lab) -> None:
    run = lab.run(
        """
        @task(retries=2, retry_delay=0)
        def third_time_lucky(ti=None):
            if ti.try_number < 3:
                raise KeyError("not yet")

        third_time_lucky()
        """
    )
    assert run.state == "success"
    states = [run.link("third_time_lucky", number).outcome.state for number in (1, 2, 3)]
    assert states == ["up_for_retry", "up_for_retry", "success"]
    assert [item.try_number for item in run.manifest().instances[0].records] == [1, 2, 3]
    assert run.verify().verdict == "passed"


def test_a_retry_policy_that_gives_up_is_asked(lab: Lab) -> None:
    run = lab.run(
        """
        from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

        policy = ExceptionRetryPolicy(rules=[RetryRule(exception="builtins.KeyError", action=RetryAction.FAIL)])

        @task(retries=3, retry_delay=0, retry_policy=policy)
        def gives_up():
            raise KeyError("never")

        gives_up()
        """
    )
    assert run.states == {"gives_up": "failed"}
    assert run.link("gives_up").outcome.state == "failed"


def test_a_result_that_cannot_be_pushed_is_a_task_that_failed(lab: Lab) -> None:
    run = lab.run(
        """
        @task
        def returns_nonsense():
            return lambda: None

        returns_nonsense()
        """
    )
    assert run.states == {"returns_nonsense": "failed"}
    assert run.link("returns_nonsense").outcome.state == "failed"


def test_a_task_that_runs_into_its_time_limit_is_recorded_as_failed(lab: Lab) -> None:
    run = lab.run(
        """
        import datetime, time

        @task(execution_timeout=datetime.timedelta(seconds=0.2))
        def sleeps():
            time.sleep(5)

        @task(execution_timeout=datetime.timedelta(seconds=30))
        def in_time():
            pass

        sleeps()
        in_time()
        """
    )
    assert run.states == {"sleeps": "failed", "in_time": "success"}
    assert run.link("sleeps").outcome.error == "AirflowTaskTimeout"
    assert run.link("in_time").outcome.state == "success"


def test_a_task_that_exits_the_process_is_recorded(lab: Lab) -> None:
    run = lab.run(
        """
        import sys

        @task
        def leaves():
            sys.exit(3)

        leaves()
        """
    )
    assert run.link("leaves").outcome.error == "SystemExit"


def test_a_deferred_task_has_one_record_of_its_last_segment(lab: Lab) -> None:
    run = lab.run(DEFERS)
    assert run.states == {"defers": "success", "after": "success"}
    assert run.names("defers") == ["1.bundle.json", "1.openings.json"]
    link = run.link("defers")
    assert link.environment.resumed
    assert link.outcome.pushed["return_value"] == sha256_hex(canonical_json("resumed"))
    assert run.verify().verdict == "passed"


def test_assets_that_are_files_are_measured_and_others_are_named_as_not(lab: Lab) -> None:
    (lab.data / "in.csv").write_text("1,2\n")
    run = lab.run(
        """
        @task(
            inlets=[Asset(f"file://{DATA}/in.csv"), Asset("s3://bucket/key"), Asset("just_a_name"),
                    Asset(f"file://{DATA}/gone")],
            outlets=[Asset(f"file://{DATA}/out.csv"), AssetAlias("later")],
        )
        def copies(outlet_events=None):
            open(DATA + "/out.csv", "w").write(open(DATA + "/in.csv").read() * 2)
            open(DATA + "/late.csv", "w").write("late")
            outlet_events[AssetAlias("later")].add(Asset(f"file://{DATA}/late.csv"))

        copies()
        """
    )
    link = run.link("copies")
    base = f"file://{lab.data}"
    assert link.inputs == {f"{base}/in.csv": sha256_hex(b"1,2\n")}
    assert link.products == {f"{base}/out.csv": sha256_hex(b"1,2\n1,2\n"), f"{base}/late.csv": sha256_hex(b"late")}
    assert {item.uri for item in link.environment.unmeasured} == {"s3://bucket/key", "just_a_name", f"{base}/gone"}


def test_an_asset_that_a_function_is_called_with_is_hashed_before_it_runs(lab: Lab) -> None:
    (lab.data / "in.csv").write_text("before")
    run = lab.run(
        """
        @task
        def changes(table):
            open(DATA + "/in.csv", "w").write("after")

        changes(Asset(f"file://{DATA}/in.csv"))
        """
    )
    assert run.link("changes").inputs == {f"file://{lab.data}/in.csv": sha256_hex(b"before")}


def test_what_the_code_of_a_task_records_is_in_its_link(lab: Lab) -> None:
    (lab.data / "seen.txt").write_text("seen")
    run = lab.run(
        """
        import os

        @task
        def records():
            record_input(DATA + "/seen.txt")
            os.makedirs(DATA + "/model")
            open(DATA + "/model/weights", "w").write("w")
            record_output(DATA + "/model", kind="model")
            record_output("relative.txt")
            record_metric("accuracy", 0.75)

        records()
        """
    )
    link = run.link("records")
    model = f"file://{lab.data}/model"
    assert link.inputs == {f"file://{lab.data}/seen.txt": sha256_hex(b"seen")}
    assert link.products.keys() == {model}
    assert link.outcome.kinds == {model: "model"}
    assert link.outcome.metrics == {"accuracy": 0.75}
    assert [item.uri for item in link.environment.unmeasured] == ["relative.txt"]
    # The listing of the directory travels with the record.
    assert lab.home.joinpath("archive/blobs/sha256", link.products[model]).exists()


def test_an_input_that_was_swapped_on_the_way_shows_in_the_report(lab: Lab) -> None:
    run = lab.run(
        """
        out = DATA + "/table"
        make = AtlasOperator(task_id="make", outputs=[out], bash_command=f"echo good > {out}")
        swap = BashOperator(task_id="swap", bash_command=f"echo bad > {out}")
        use = AtlasOperator(task_id="use", inputs=[out], bash_command=f"cat {out}")
        make >> use
        swap >> use
        make >> swap
        """
    )
    assert run.state == "success"
    assert {check.name for check in run.verify().failures} == {"artifacts", "lineage"}


def test_a_log_that_is_away_breaks_nothing_and_a_later_task_finishes_the_record(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    lab.home.mkdir(exist_ok=True)
    lab.configure(log=f"posix:{lab.home}/broken")
    (lab.home / "broken").write_text("a file, where a log's folder was to be")
    body = """
    @task
    def works():
        return 1

    works()
    """
    broken = lab.run(body)
    assert broken.state == "success"
    assert broken.names("works") == []
    spool = lab.home / "spool"
    assert len(list(spool.iterdir())) == 1
    assert any("spooled" in record.getMessage() for record in caplog.records if record.levelname == "ERROR")

    (lab.home / "broken").unlink()
    assert lab.run(body).verify().verdict == "passed"
    assert list(spool.iterdir()) == []
    assert broken.link("works").outcome.state == "success"


def test_a_log_of_somebody_else_is_not_written_to(lab: Lab) -> None:
    lab.configure(log_origin="first.example/log")
    body = "BashOperator(task_id='works', bash_command='true')"
    assert lab.run(body).names("works")
    lab.configure(log_origin="second.example/log")
    stranger = lab.run(body)
    assert stranger.state == "success"
    assert stranger.names("works") == []
    assert len(list((lab.home / "spool").iterdir())) == 1


def test_no_secret_reaches_the_archive_or_the_log(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_VAULT", "http://someone:hunter2-hunter2@example.com/x")
    run = lab.run(
        """
        from airflow.sdk import BaseHook

        @task
        def uses(password, nested, ti=None):
            secret = BaseHook.get_connection("vault").password
            ti.xcom_push("told", "not the secret")

        BashOperator(
            task_id="bash",
            bash_command="echo {{ conn.vault.password }}; true",
            env={"API_PASSWORD": "plain-in-the-dag", "HARMLESS": "shown"},
        ) >> uses(
            "{{ conn.vault.password }}", {"deep": [[[[[["{{ conn.vault.password }}"]]]]]], "token": "by-its-name"}
        )
        """,
        conf={"client_secret": "in-the-conf"},
    )
    assert run.state == "success"
    kept = everything_in(lab.home)
    for secret in ("hunter2-hunter2", "plain-in-the-dag", "by-its-name", "in-the-conf"):
        assert secret not in kept
    openings = json.loads((run.folder / "tasks/bash/1.openings.json").read_bytes())
    assert openings["bash_command"]["value"] == "echo ***; true"
    assert openings["env"]["value"] == {"API_PASSWORD": "***", "HARMLESS": "shown"}
    commitments = run.link("bash").environment.parameters
    assert commitments.keys() == openings.keys()
    for name, opening in openings.items():
        assert sha256_hex(bytes.fromhex(opening["salt"]) + canonical_json(opening["value"])) == commitments[name]
    assert (run.folder / "tasks/bash/1.openings.json").stat().st_mode & 0o077 == 0


def test_off_makes_nothing(lab: Lab) -> None:
    lab.configure(mode="off")
    run = lab.run(
        """
        plain = BashOperator(task_id="plain", bash_command="true")
        plain >> AtlasOperator(task_id="ours", inputs=["/nowhere"], bash_command="true")
        """
    )
    assert run.state == "success"
    assert not lab.home.exists()


def test_a_setting_that_does_not_exist_is_told_and_breaks_nothing(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    lab.configure(mdoe="enforce")
    run = lab.run("BashOperator(task_id='works', bash_command='true')")
    assert run.state == "success"
    assert run.names("works") == []
    assert any("[atlas] has no setting 'mdoe'" in record.getMessage() for record in caplog.records)


def test_a_run_that_is_deleted_and_repeated_does_not_replace_its_records(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    run = lab.run("BashOperator(task_id='works', bash_command='true')")
    kept = (run.folder / "tasks/works/1.bundle.json").read_bytes()
    again = lab.again(run)
    assert (again.run_id, again.state) == (run.run_id, "success")
    assert (run.folder / "tasks/works/1.bundle.json").read_bytes() == kept
    assert any("deleted and repeated" in record.getMessage() for record in caplog.records)


def test_a_run_that_ends_twice_has_two_manifests_and_the_last_one_counts(lab: Lab) -> None:
    run = lab.run("BashOperator(task_id='works', bash_command='true')")
    lab.end_again(run)
    assert run.manifest("manifest.2.bundle.json").instances == run.manifest().instances
    assert run.verify().verdict == "passed"


def test_a_state_that_was_set_by_hand_shows(lab: Lab) -> None:
    run = lab.run(
        """
        @task
        def fails():
            raise ValueError

        fails()
        """
    )
    lab.end_again(run, set_states={"fails": "success"})
    assert run.manifest("manifest.2.bundle.json").instances[0].set_by_hand
    assert "outcome" in {check.name for check in run.verify().failures}


def everything_in(folder: Path) -> str:
    """All bytes of all files, base64 of envelopes opened too."""
    import base64
    import re

    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    opened = [
        base64.b64decode(match)
        for content in contents
        for match in re.findall(rb'"payload":"([A-Za-z0-9+/=]+)"', content)
    ]
    return b"\n".join([*contents, *opened]).decode("utf-8", "replace")


def test_a_run_whose_log_signs_later_is_complete_when_it_ends(lab: Lab) -> None:
    lab.configure(log_integration="deferred")
    run = lab.run(
        """
        @task
        def first():
            return 1

        @task
        def double(number):
            return number * 2

        double.expand(number=[1, 2]) << first()
        """
    )
    report = run.verify()
    assert report.verdict == "passed", report.failures
    assert "1.sequenced.json" in run.names("first")
    (reference,) = run.link("double[0]").environment.upstream
    assert reference.log_index == run.bundle("first").receipts["link"].index


def test_a_run_whose_log_signs_later_may_judge_itself_before_it_ends(lab: Lab) -> None:
    lab.configure(log_integration="deferred")
    lab.run('BashOperator(task_id="warm", bash_command="true")')  # makes the keys
    policy = lab.data / "policy.yaml"
    policy.write_bytes(runs.policy_for(lab.settings, name="lab"))
    judged = f"""
        first = BashOperator(task_id="first", bash_command="true")
        first >> AtlasVerifyOperator(task_id="judge", policy={str(policy)!r})
        """
    assert lab.run(judged).states["judge"] == "success"


def test_a_run_that_is_repeated_before_its_log_signed_does_not_replace_its_records(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    lab.configure(log_integration="deferred")
    run = lab.run('BashOperator(task_id="only", bash_command="true")')
    (run.folder / "tasks" / "only" / "1.bundle.json").unlink()
    assert lab.again(run).state == "success"
    assert any("deleted and repeated" in record.getMessage() for record in caplog.records)
