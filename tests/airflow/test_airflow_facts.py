"""What is read off Airflow's objects, the process and the disk: each fact by itself."""

import datetime as dt
import hashlib
import json
import sys
import types
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.airflow import (
    attempt,
    code_identity,
    conf,
    listener,
    opening,
    parameters,
    past,
    platform_of,
    xcoms,
)
from airflow_provider_atlas.airflow.pipeline_of import pipeline_of
from airflow_provider_atlas.airflow.trouble import AttestationStop
from airflow_provider_atlas.attest.execution import commitment
from airflow_provider_atlas.attest.pending import Attachments
from airflow_provider_atlas.encoding import canonical_json
from airflow_provider_atlas.errors import ArchiveError, CaptureError, ConfigError
from airflow_provider_atlas.intoto.pipeline import Pipeline
from airflow_provider_atlas.intoto.task_run import TaskRun
from tests.support.airflow_lab import Lab
from tests.support.attested_run import DAG_ID, RUN_ID, AttestedRun

RUN = TaskRun(
    deployment="d", dag_id="dag", run_id="run", task_id="task", map_index=-1, try_number=1, ti_id="", logical_date=None
)


class TestPipeline:
    def test_the_scheduler_and_a_worker_see_the_same_pipeline(self, airflow_database: None) -> None:  # noqa: ARG002
        from airflow.providers.standard.operators.bash import BashOperator
        from airflow.providers.standard.operators.empty import EmptyOperator
        from airflow.sdk import DAG, Asset, task, task_group
        from airflow.serialization.serialized_objects import DagSerialization

        from airflow_provider_atlas.operators import AtlasOperator

        with DAG("d", schedule=None) as dag:

            @task
            def one(number: int) -> int:
                return number

            @task_group
            def group(number: int) -> None:
                one(number)

            empty = EmptyOperator(task_id="empty")
            busy = EmptyOperator(task_id="busy", outlets=[Asset("file:///x")])
            called = EmptyOperator(task_id="called", on_success_callback=print)
            bash = BashOperator.partial(task_id="bash").expand(bash_command=["a", "b"])
            first = AtlasOperator(task_id="first", bash_command="true", trigger_rule="one_success")
            [empty, busy] >> first >> group.expand(number=[1]) >> called >> bash

        declared = pipeline_of(dag)
        assert pipeline_of(DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))) == declared
        assert Pipeline.parse(declared.to_bytes()) == declared
        tasks = declared.tasks
        assert {name for name, item in tasks.items() if item.empty} == {"empty"}
        assert {name for name, item in tasks.items() if item.mapped} == {"bash", "group.one"}
        assert {name for name, item in tasks.items() if not item.waits} == {"first"}
        assert tasks["first"].upstream == ("busy", "empty")
        assert tasks["first"].operator == "airflow_provider_atlas.operators.AtlasOperator"

    def test_where_a_dag_file_lies_is_no_part_of_it(self, airflow_database: None, tmp_path: Path) -> None:  # noqa: ARG002
        from airflow.dag_processing.dagbag import DagBag

        source = """
from airflow.sdk import DAG, BaseOperator
class Own(BaseOperator):
    pass
with DAG("d", schedule=None):
    Own(task_id="t")
"""
        pipelines = set()
        for name in ("here", "there"):
            file = tmp_path / name / "file.py"
            file.parent.mkdir()
            file.write_text(source)
            pipelines.add(pipeline_of(DagBag(str(file)).dags["d"]).to_bytes())
        (pipeline,) = pipelines
        assert json.loads(pipeline)["tasks"]["t"]["operator"] == "file.Own"


class TestCode:
    def test_the_listing_has_the_dag_file_and_the_modules_of_the_bundle(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files = {"dag.py": b"dag", "package/helper.py": b"helper", "package/unused.py": b"unused"}
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
        module = types.ModuleType("package.helper")
        module.__file__ = str(tmp_path / "package/helper.py")
        monkeypatch.setitem(sys.modules, "package.helper", module)
        listing = code_identity.loaded_files(str(tmp_path / "dag.py"), str(tmp_path))
        assert {entry.path: entry.sha256 for entry in listing.entries} == {
            name: hashlib.sha256(files[name]).hexdigest() for name in ("dag.py", "package/helper.py")
        }

    def test_a_bundle_behind_a_link_is_the_same(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = tmp_path / "versions" / "abc"
        real.mkdir(parents=True)
        (real / "dag.py").write_bytes(b"dag")
        (real / "helper.py").write_bytes(b"helper")
        (tmp_path / "current").symlink_to(real)
        module = types.ModuleType("helper_of_a_bundle")
        module.__file__ = str(real / "helper.py")
        monkeypatch.setitem(sys.modules, "helper_of_a_bundle", module)
        linked = code_identity.loaded_files(str(tmp_path / "current" / "dag.py"), str(tmp_path / "current"))
        assert [entry.path for entry in linked.entries] == ["dag.py", "helper.py"]

    def test_a_module_whose_file_is_gone_is_left_out_and_a_dag_file_that_is_gone_is_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = types.ModuleType("gone_from_the_bundle")
        module.__file__ = str(tmp_path / "gone.py")
        monkeypatch.setitem(sys.modules, "gone_from_the_bundle", module)
        (tmp_path / "dag.py").write_bytes(b"dag")
        listing = code_identity.loaded_files(str(tmp_path / "dag.py"), str(tmp_path))
        assert [entry.path for entry in listing.entries] == ["dag.py"]
        with pytest.raises(CaptureError):
            code_identity.loaded_files(str(tmp_path / "no_dag.py"), str(tmp_path))

    def test_a_forked_task_finds_what_it_loaded_itself(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "dag.py").write_bytes(b"dag")
        (tmp_path / "helper.py").write_bytes(b"helper")
        before = code_identity._Before()
        monkeypatch.setattr(code_identity, "_BEFORE", before)
        code_identity.note_parent()
        before.parent_pid += 1  # as it is after a fork
        code_identity.note_start()
        assert self.names(tmp_path) == ["dag.py"]
        self.load(tmp_path / "helper.py", monkeypatch)
        assert self.names(tmp_path) == ["dag.py", "helper.py"]

    def test_a_forked_task_finds_what_its_parent_had_loaded_of_the_bundle(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "dag.py").write_bytes(b"dag")
        (tmp_path / "helper.py").write_bytes(b"helper")
        before = code_identity._Before()
        monkeypatch.setattr(code_identity, "_BEFORE", before)
        self.load(tmp_path / "helper.py", monkeypatch)
        code_identity.note_parent()
        before.parent_pid += 1
        code_identity.note_start()
        assert self.names(tmp_path) == ["dag.py", "helper.py"]

    @staticmethod
    def load(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        module = types.ModuleType(f"loaded_{path.stem}")
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, module.__name__, module)

    @staticmethod
    def names(folder: Path) -> list[str]:
        return [entry.path for entry in code_identity.loaded_files(str(folder / "dag.py"), str(folder)).entries]

    def test_a_dag_in_a_zip_is_the_zip(self, tmp_path: Path) -> None:
        (tmp_path / "dags.zip").write_bytes(b"PK")
        listing = code_identity.loaded_files(str(tmp_path / "dags.zip" / "dag.py"), str(tmp_path))
        assert [entry.path for entry in listing.entries] == ["dags.zip"]


class TestPlatform:
    def test_what_is_installed_changes_the_digest(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "path", [str(tmp_path)])
        digests = [platform_of.distributions_sha256()]
        for name in ("one-1.0.dist-info", "two-2.0.dist-info"):
            (tmp_path / name).mkdir()
            digests.append(platform_of.distributions_sha256())
        (tmp_path / "two-2.0.dist-info").rename(tmp_path / "two-2.1.dist-info")
        digests.append(platform_of.distributions_sha256())
        assert len(set(digests)) == len(digests)
        assert digests[2] == hashlib.sha256(b"one-1.0\ntwo-2.0").hexdigest()

    def test_it_says_what_runs(self) -> None:
        import airflow

        known = platform_of.platform_of("sha256:abc")
        assert (known.airflow, known.image) == (airflow.__version__, "sha256:abc")
        assert known.python.startswith("3.")
        assert platform_of.platform_of("").image is None


class _Told:
    template_fields = ("command", "password", "table")

    def __init__(self, **fields: object) -> None:
        vars(self).update(fields)


class TestParameters:
    def test_each_commitment_opens_and_two_runs_share_none(self) -> None:
        operator = _Told(command="x", password="hunter2", table=None)
        context = {"params": {"depth": 3}}
        first = parameters.parameters_of(operator, context, {"token": "secret-token"})  # type: ignore[arg-type]
        second = parameters.parameters_of(operator, context, {"token": "secret-token"})  # type: ignore[arg-type]
        openings = json.loads(first.openings)
        assert {name: opened["value"] for name, opened in openings.items()} == {
            "command": "x",
            "password": "***",
            "table": None,
            "params": {"depth": 3},
            "dag_run.conf": {"token": "***"},
        }
        for name, opened in openings.items():
            assert commitment(opened["value"], bytes.fromhex(opened["salt"])) == first.commitments[name]
        assert not set(first.commitments.values()) & set(second.commitments.values())

    def test_an_object_is_named_and_not_shown(self) -> None:
        class Table:
            def __repr__(self) -> str:
                return "row one, row two"

        shown = parameters.redacted("table", {"rows": Table(), "call": print, "bytes": b"row"})
        assert "row" not in json.dumps(shown).replace('"rows"', "")
        assert shown["call"] == "<builtins.print>"  # type: ignore[index,call-overload]

    def test_plain_values_stay_readable(self) -> None:
        value = {
            "when": dt.datetime(2026, 1, 31, tzinfo=dt.UTC),
            "path": Path("/data"),
            "set": {2, 1},
            "tuple": (1, None, True),
            "decimal": Decimal("1.50"),
            "huge": 2**70,
            "nan": float("nan"),
            3: "three",
        }
        assert parameters.redacted("value", value) == {
            "when": "2026-01-31T00:00:00+00:00",
            "path": "/data",
            "set": [1, 2],
            "tuple": [1, None, True],
            "decimal": "1.50",
            "huge": str(2**70),
            "nan": "nan",
            "3": "three",
        }

    def test_a_large_value_is_told_by_its_digest(self) -> None:
        value = "x" * (parameters.MAX_VALUE + 1)
        spelled = canonical_json(value)
        assert parameters.redacted("value", value) == {
            "sha256": hashlib.sha256(spelled).hexdigest(),
            "size": len(spelled),
        }

    def test_a_secret_is_masked_wherever_it_is_and_an_object_that_raises_is_named(self) -> None:
        from airflow.sdk.log import mask_secret

        class Raises:
            @property
            def uri(self) -> str:
                raise RuntimeError("no")

        mask_secret("sesame-sesame")
        shown = parameters.redacted("field", {"in sesame-sesame key": [("x sesame-sesame y",)]})
        assert shown == {"in *** key": [["x *** y"]]}
        assert "Raises that cannot be read" in str(parameters.redacted("field", Raises()))

    def test_a_value_that_holds_itself_ends(self) -> None:
        value: list[object] = []
        value.append(value)
        assert canonical_json(parameters.redacted("value", value))

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.integers(), inner),
            max_leaves=20,
        )
    )
    def test_whatever_a_field_holds_can_be_committed_to(self, value: object) -> None:
        assert commitment(parameters.redacted("value", value), b"\0" * 16)


class TestPast:
    def test_a_glance_sees_what_a_full_look_would(self, tmp_path: Path) -> None:
        made = AttestedRun(tmp_path, attester="none:").complete()
        run = past.PastRun(made.worker.archive, DAG_ID, RUN_ID)
        for record in (*run.last_of_task("train"), *run.of_step("ingest")):
            link, bundle = made.records[record.reference.step]
            assert record.reference.envelope_sha256 == bundle.envelopes["link"].sha256
            assert record.reference.log_index == bundle.receipts["link"].index
            assert (record.products, record.pushed) == (link.products, link.outcome.pushed)
        assert [record.map_index for record in run.last_of_task("train")] == [0, 1]

    def test_names_that_begin_alike_are_told_apart(self, tmp_path: Path) -> None:
        long = "t" * 200
        made = AttestedRun(tmp_path, attester="none:")
        tasks = dict.fromkeys(("t", "tt", long, f"{long}x"), made.pipeline.tasks["ingest"])
        made.pipeline = Pipeline(dag_id=DAG_ID, tasks=tasks)
        for name in tasks:
            for index in (0, 11):
                made.record(name, map_index=index)
        run = past.PastRun(made.worker.archive, DAG_ID, RUN_ID)
        for name in tasks:
            assert [(item.task_id, item.map_index) for item in run.last_of_task(name)] == [(name, 0), (name, 11)]

    def test_a_damaged_record_is_an_error_or_in_observe_a_line(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        made = AttestedRun(tmp_path, attester="none:").complete()
        (made.run_folder / "tasks/ingest/1.bundle.json").write_bytes(b'{"envelopes": {}}')
        with pytest.raises(ArchiveError):
            past.PastRun(made.worker.archive, DAG_ID, RUN_ID).of_step("ingest")
        assert past.PastRun(made.worker.archive, DAG_ID, RUN_ID, lenient=True).of_step("ingest") == []
        assert "expected a record" in caplog.text


class TestXComs:
    def test_a_channel_with_other_messages_is_none_of_our_business(self) -> None:
        seen = self.see(types.SimpleNamespace(type="GetVariable", key="x"), object())
        assert seen == xcoms.Traffic()

    def test_what_cannot_be_looked_at_is_told_and_breaks_nothing(self) -> None:
        message = types.SimpleNamespace(type="SetXCom", task_id="task")
        (trouble,) = self.see(message, None).trouble
        assert "SetXCom" in trouble.reason

    def test_an_xcom_that_no_json_can_spell_is_told(self) -> None:
        (trouble,) = self.see(self.message("SetXCom", value=float("nan")), None).trouble
        assert "canonical JSON" in trouble.reason

    def test_what_is_written_among_anothers_xcoms_is_told(self) -> None:
        seen = self.see(self.message("SetXCom", value=1, task_id="victim"), None)
        result = xcoms.xcoms_of(seen, RUN, lambda *_: None)
        assert result.pushed == {}
        assert "among the XComs of another" in result.unmeasured[0].reason

    def test_what_was_deleted_again_was_not_pushed(self) -> None:
        seen = self.see(self.message("SetXCom", value=1), None, self.message("DeleteXCom"), None)
        assert xcoms.xcoms_of(seen, RUN, lambda *_: None).pushed == {}

    def test_an_xcom_of_another_run_carries_its_name(self) -> None:
        seen = self.see(self.message("GetXCom", run_id="other"), types.SimpleNamespace(value=1))
        assert xcoms.xcoms_of(seen, RUN, lambda *_: None).pulled.keys() == {"dag/other/task/key"}

    def test_an_xcom_of_any_earlier_run_is_told(self) -> None:
        message = self.message("GetXCom", include_prior_dates=True)
        seen = self.see(message, types.SimpleNamespace(value=1))
        assert "does not name" in xcoms.xcoms_of(seen, RUN, lambda *_: None).unmeasured[0].reason

    def test_one_that_is_not_there_is_no_input(self) -> None:
        seen = self.see(self.message("GetXCom"), types.SimpleNamespace(value=None))
        assert xcoms.xcoms_of(seen, RUN, lambda *_: None) == xcoms.XComs(pulled={}, pushed={}, unmeasured=[])

    def test_one_that_changed_between_two_looks_is_told(self) -> None:
        message = self.message("GetXCom")
        seen = self.see(message, types.SimpleNamespace(value=1), message, types.SimpleNamespace(value=2))
        result = xcoms.xcoms_of(seen, RUN, lambda *_: None)
        assert "changed while the task ran" in result.unmeasured[0].reason

    def test_a_slice_names_the_instances_that_pushed(self) -> None:
        message = self.message("GetXComSequenceSlice", start=1, stop=None, step=None)
        seen = self.see(message, types.SimpleNamespace(root=["b", "c"]))
        assert xcoms.xcoms_of(seen, RUN, lambda *_: [0, 4, 7]).pulled.keys() == {"task[4]/key", "task[7]/key"}
        # Two values, and records of four: whose they are is not guessed.
        result = xcoms.xcoms_of(seen, RUN, lambda *_: [0, 1, 2, 3])
        assert result.pulled == {}
        assert "is not known" in result.unmeasured[0].reason

    def test_an_offset_counts_from_either_end(self) -> None:
        for offset, index in ((0, 0), (-1, 7)):
            message = self.message("GetXComSequenceItem", offset=offset)
            seen = self.see(message, types.SimpleNamespace(root="x"))
            assert xcoms.xcoms_of(seen, RUN, lambda *_: [0, 4, 7]).pulled.keys() == {f"task[{index}]/key"}

    @staticmethod
    def message(kind: str, **fields: object) -> types.SimpleNamespace:
        named = {"dag_id": "dag", "run_id": "run", "task_id": "task", "key": "key", "map_index": -1}
        return types.SimpleNamespace(type=kind, **(named | fields))

    @staticmethod
    def see(*exchanges: object) -> xcoms.Traffic:
        channel = object()
        for message, response in zip(exchanges[::2], exchanges[1::2], strict=True):
            xcoms._see(channel, message, response)
        return xcoms._WATCH.on(channel)


class TestSettings:
    def test_what_looks_like_a_number_keeps_its_spelling(self, lab: Lab) -> None:
        lab.configure(deployment="007")
        assert conf.settings().deployment == "007"
        lab.configure(deployment="true")
        assert conf.settings().deployment == "true"

    def test_what_airflow_says_of_apache_atlas_is_not_ours_unless_somebody_wrote_it(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert conf.settings().home == str(lab.home)
        monkeypatch.setenv("AIRFLOW__ATLAS__HOST", "atlas.example.org")
        with pytest.raises(ConfigError, match="'host'"):
            conf.settings()


class TestListener:
    def test_a_scheduler_opens_what_its_tasks_will_need(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "airflow.jobs.scheduler_job_runner", types.ModuleType("scheduler"))
        monkeypatch.setattr(code_identity, "_BEFORE", code_identity._Before())
        listener.AtlasListener().on_starting(object())
        assert lab.settings in opening._opened
        assert "/airflow/__init__.py" in code_identity._BEFORE.parents

    def test_a_scheduler_with_a_mistake_in_its_settings_starts_all_the_same(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        lab.configure(mode="enforce", log="ftp://example.org")
        monkeypatch.setitem(sys.modules, "airflow.jobs.scheduler_job_runner", types.ModuleType("scheduler"))
        monkeypatch.setattr(code_identity, "_BEFORE", code_identity._Before())
        listener.AtlasListener().on_starting(object())
        assert "ftp://example.org" in caplog.text

    def test_a_task_process_watches_its_channel_before_it_loads_its_dag(
        self,
        lab: Lab,  # noqa: ARG002
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        from airflow.sdk.execution_time import comms, task_runner

        monkeypatch.setattr(code_identity, "_BEFORE", code_identity._Before())
        listener.AtlasListener().on_starting(task_runner.TaskRunnerMarker())
        assert xcoms._is_watched(comms.CommsDecoder)
        assert code_identity._BEFORE.last == next(reversed(sys.modules))

    def test_what_cannot_even_be_loaded_stops_tasks_where_they_must_be_attested(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setitem(sys.modules, "airflow_provider_atlas.airflow.wrapper", None)
        lab.configure(mode="enforce")
        hook = listener.AtlasListener().on_task_instance_running
        with pytest.raises(AttestationStop):
            next(hook(task_instance=object()))
        lab.configure(mode="observe")
        next(hook(task_instance=object()))
        assert "this task is not attested" in caplog.text


def test_a_record_of_a_dag_that_was_changed_while_it_runs_keeps_both_pipelines() -> None:
    own = Attachments(pipeline=b"new", openings=b"{}", blobs=(b"code",))
    changed = attempt._of_run(own, b"old", [b"listing"])
    assert changed == Attachments(pipeline=b"old", openings=b"{}", blobs=(b"code", b"new", b"listing"))
    assert attempt._of_run(own, None, []) == attempt._of_run(own, b"new", []) == own


def test_the_plugin_is_light(tmp_path: Path) -> None:
    import subprocess

    heavy = ("airflow_provider_atlas.wiring", "in_toto", "dcap_qvl", "cryptography.x509", "rich", "requests")
    script = (
        "import airflow.plugins_manager, sys; before = set(sys.modules);"
        "import airflow_provider_atlas.airflow.plugin;"
        f"print([name for name in {heavy!r} if name in set(sys.modules) - before])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=_environment(tmp_path)
    )
    assert done.stdout.strip().endswith("[]")


def _environment(home: Path) -> dict[str, str]:
    import os

    return {**os.environ, "AIRFLOW_HOME": str(home)}
