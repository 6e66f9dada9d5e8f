"""``AtlasOperator`` and ``@task.atlas``: what they declare, what they run, and what they are in a DAG."""

import pytest

from airflow_provider_atlas.encoding import sha256_hex
from tests.support.airflow_lab import Lab


def test_it_runs_an_operator_a_callable_or_a_command(lab: Lab) -> None:
    (lab.data / "in").write_text("in")
    run = lab.run(
        """
        def copies(source, target):
            open(target, "w").write(open(source).read())
            return "copied"

        given = dict(inputs=[DATA + "/in"])
        operator = AtlasOperator(
            task_id="operator",
            outputs=[DATA + "/{{ ti.task_id }}"],
            operator=BashOperator(task_id="inner", bash_command=f"cp {DATA}/in {DATA}/{{{{ ti.task_id }}}}; echo last"),
            **given,
        )
        python = AtlasOperator(
            task_id="python",
            outputs=[DATA + "/python"],
            python_callable=copies,
            op_args=[DATA + "/in"],
            op_kwargs={"target": DATA + "/{{ ti.task_id }}"},
            **given,
        )
        command = AtlasOperator(
            task_id="command", outputs=[DATA + "/command"], bash_command="cp $IN " + DATA + "/command",
            env={"IN": DATA + "/in"}, **given,
        )
        operator >> python >> command
        """
    )
    assert run.states == {"operator": "success", "python": "success", "command": "success"}
    for step in run.states:
        link = run.link(step)
        assert link.inputs == {f"file://{lab.data}/in": sha256_hex(b"in")}
        assert link.products == {f"file://{lab.data}/{step}": sha256_hex(b"in")}
        assert link.environment.operator == "airflow_provider_atlas.operators.AtlasOperator"
        assert len(run.names(step)) == 2
    assert run.link("operator").outcome.pushed == {"return_value": sha256_hex(b'"last"')}
    assert run.verify().verdict == "passed"


def test_what_it_takes_from_other_tasks_it_waits_for(lab: Lab) -> None:
    run = lab.run(
        """
        @task
        def where():
            return DATA + "/made"

        path = where()
        AtlasOperator(
            task_id="make",
            outputs=[path],
            operator=BashOperator(task_id="inner", bash_command="touch $OUT", env={"OUT": path}),
        )
        AtlasOperator(task_id="python", python_callable=lambda path: path, op_args=[path])
        """
    )
    assert run.states == {"where": "success", "make": "success", "python": "success"}
    assert run.link("make").products.keys() == {f"file://{lab.data}/made"}
    assert [item.step for item in run.link("python").environment.upstream] == ["where"]


@pytest.mark.parametrize(
    ("declares", "ran"),
    [('inputs=[DATA + "/gone"]', False), ('outputs=[DATA + "/gone"]', True)],
)
@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_what_it_declares_must_be_there(lab: Lab, mode: str, declares: str, ran: bool) -> None:
    lab.configure(mode=mode)
    run = lab.run(
        f"""
        AtlasOperator(task_id="t", {declares}, bash_command=f"touch {{DATA}}/ran")

        @task.atlas({declares})
        def decorated():
            open(DATA + "/decorated", "w")

        decorated()
        """
    )
    assert run.states == {"t": "failed", "decorated": "failed"}
    assert (lab.data / "ran").exists() == ran
    assert (lab.data / "decorated").exists() == ran
    if ran:
        assert run.link("t").outcome.state == "failed"


def test_a_missing_output_is_tried_again(lab: Lab) -> None:
    run = lab.run(
        """
        AtlasOperator(
            task_id="t", retries=1, retry_delay=0, outputs=[DATA + "/second"],
            bash_command=f"test -e {DATA}/first && touch {DATA}/second; touch {DATA}/first",
        )
        """
    )
    assert run.states == {"t": "success"}
    assert [run.link("t", number).outcome.state for number in (1, 2)] == ["up_for_retry", "success"]


def test_it_can_be_mapped_over_commands(lab: Lab) -> None:
    run = lab.run(
        """
        AtlasOperator.partial(task_id="t", outputs=[DATA + "/{{ ti.map_index }}"]).expand(
            bash_command=[f"echo {n} > {DATA}/{n}" for n in range(2)]
        )
        """
    )
    assert run.states == {"t[0]": "success", "t[1]": "success"}
    assert run.link("t[1]").products == {f"file://{lab.data}/1": sha256_hex(b"1\n")}


def test_the_decorator_declares_and_can_be_mapped(lab: Lab) -> None:
    (lab.data / "in").write_text("in")
    run = lab.run(
        """
        @task.atlas(inputs=[DATA + "/in"], outputs=["{{ task.op_kwargs.path }}"])
        def writes(path):
            open(path, "w").write("x")
            return path

        @task
        def reads(paths):
            return len(list(paths))

        reads(writes.expand(path=[DATA + "/a", DATA + "/b"]))
        """
    )
    assert run.state == "success"
    assert run.link("writes[1]").products.keys() == {f"file://{lab.data}/b"}
    assert run.link("writes[1]").inputs.keys() == {f"file://{lab.data}/in"}
    assert run.verify().verdict == "passed"


def test_it_attests_by_itself_where_no_listener_does(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_atlas.airflow import listener

    monkeypatch.setattr(listener, "_attach", lambda _: None)
    run = lab.run(
        """
        plain = BashOperator(task_id="plain", bash_command="true")
        ours = AtlasOperator(task_id="ours", bash_command="true")

        @task.atlas
        def decorated():
            return 1

        plain >> ours >> decorated()
        """
    )
    assert run.names("plain") == []
    assert run.link("ours").outcome.state == "success"
    assert run.link("decorated").outcome.pushed == {"return_value": sha256_hex(b"1")}


def test_it_goes_on_after_what_it_runs_was_deferred(lab: Lab) -> None:
    run = lab.run(
        """
        import datetime
        from airflow.sdk import BaseOperator
        from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

        class Defers(BaseOperator):
            def execute(self, context):
                self.defer(trigger=TimeDeltaTrigger(datetime.timedelta(milliseconds=1)), method_name="done")

            def done(self, context, event=None):
                open(DATA + "/out", "w").write("out")
                return "done"

        AtlasOperator(task_id="outer", outputs=[DATA + "/out"], operator=Defers(task_id="inner"))
        """
    )
    assert run.states == {"outer": "success"}
    assert run.link("outer").environment.resumed
    assert run.link("outer").products.keys() == {f"file://{lab.data}/out"}


def test_assets_of_what_it_runs_are_its_own(lab: Lab) -> None:
    run = lab.run(
        """
        inner = BashOperator(task_id="inner", bash_command=f"touch {DATA}/x", outlets=[Asset(f"file://{DATA}/x")])
        AtlasOperator(task_id="outer", operator=inner)
        """
    )
    assert run.states == {"outer": "success"}
    assert run.link("outer").products.keys() == {f"file://{lab.data}/x"}


def test_a_template_file_of_what_it_runs_is_read(lab: Lab) -> None:
    (lab.data / "script.sh").write_text("echo {{ ti.task_id }}")
    run = lab.run(
        """
        AtlasOperator(task_id="outer", operator=BashOperator(task_id="inner", bash_command="script.sh"))
        """,
        template_searchpath=repr(str(lab.data)),
    )
    assert run.states == {"outer": "success"}
    assert run.link("outer").outcome.pushed == {"return_value": sha256_hex(b'"outer"')}


class TestInADag:
    """What a DAG's author is told while the DAG is parsed, and what the DAG then holds."""

    def test_the_operator_that_it_runs_is_no_task_of_the_dag(self, airflow_database: None) -> None:  # noqa: ARG002
        from airflow.providers.standard.operators.bash import BashOperator
        from airflow.sdk import DAG, TaskGroup

        from airflow_provider_atlas.operators import AtlasOperator

        with DAG("d", schedule=None) as dag, TaskGroup("group"):
            before = BashOperator(task_id="before", bash_command="true")
            # With its own name, as it would be without us.
            task = AtlasOperator(
                task_id="train", operator=BashOperator(task_id="train", bash_command=f"echo {before.output}")
            )
            BashOperator(task_id="spare", bash_command="true")
        assert set(dag.task_dict) == {"group.before", "group.train", "group.spare"}
        assert dag.task_dict["group.train"] is task
        assert set(dag.task_group.get_child_by_label("group").children) == set(dag.task_dict)

    def test_relations_of_what_it_runs_are_refused_where_they_would_be_lost(self, airflow_database: None) -> None:  # noqa: ARG002
        from airflow.providers.standard.operators.bash import BashOperator
        from airflow.sdk import DAG

        from airflow_provider_atlas.operators import AtlasOperator

        with DAG("d", schedule=None):
            inner = BashOperator(task_id="inner", bash_command="true")
            inner >> BashOperator(task_id="after", bash_command="true")
            with pytest.raises(ValueError, match="relate that to other tasks"):
                AtlasOperator(task_id="outer", operator=inner)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({}, "exactly one of"),
            (
                {"bash_command": "true", "python_callable": print},
                "bash_command and python_callable|python_callable and",
            ),
            ({"bash_command": "true", "inputs": "/a/file"}, "inputs is a list"),
            ({"bash_command": "true", "outputs": ["relative.txt"]}, "outputs: expected an absolute path"),
            ({"bash_command": "true", "outputs": ["s3://bucket/key"]}, "expected a file"),
            ({"bash_command": "true", "inputs": [42]}, "expected a URI"),
        ],
    )
    def test_mistakes_are_told_at_once(
        self,
        airflow_database: None,  # noqa: ARG002
        arguments: dict[str, object],
        message: str,
    ) -> None:
        from airflow_provider_atlas.operators import AtlasOperator

        with pytest.raises(ValueError, match=message):
            AtlasOperator(task_id="t", **arguments)

    def test_it_cannot_be_mapped_with_an_operator(self, airflow_database: None) -> None:  # noqa: ARG002
        from airflow_provider_atlas.operators import AtlasOperator

        with pytest.raises(ValueError, match="cannot be mapped with an operator"):
            AtlasOperator.partial(task_id="t", operator=None)
