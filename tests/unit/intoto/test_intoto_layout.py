"""The layout of a run: which rules it makes, and what in-toto itself says of links that break them."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from in_toto.exceptions import LayoutExpiredError, RuleVerificationError, SignatureVerificationError
from in_toto.models.layout import Layout
from in_toto.models.metadata import Envelope as InTotoEnvelope
from in_toto.verifylib import in_toto_verify
from securesystemslib.signer import CryptoSigner

from airflow_provider_atlas.artifacts.archive import path_segment
from airflow_provider_atlas.errors import StatementError
from airflow_provider_atlas.intoto.layout import RunStep, run_layout
from airflow_provider_atlas.intoto.pipeline import Pipeline
from airflow_provider_atlas.intoto.statement import PAYLOAD_TYPE
from airflow_provider_atlas.signing import dsse
from airflow_provider_atlas.signing.keys import SCHEME
from tests.support import small_run
from tests.support.small_run import MemorySigner, link

LATER = datetime(2099, 1, 1, tzinfo=UTC)
RUN = "atlas:run/prod/churn/manual__2026-01-31T12:00:00+00:00"


@pytest.fixture(scope="module")
def worker():
    return MemorySigner()


def step(of, worker, name=None):
    key = worker.public_key
    return RunStep(name=name or path_segment(of.name), link=of, keyid=key.keyid, pem=key.pem, scheme=SCHEME)


def layout_of(links, worker, expires=LATER):
    payload = run_layout(small_run.pipeline(), [step(each, worker) for each in links], expires=expires)
    return json.loads(payload)


def rules_of(layout, name, which):
    return next(step[which] for step in layout["steps"] if step["name"] == name)


def judge(tmp_path, worker, links, *, planned=None, pipeline=None, expires=LATER):
    """Let in-toto hold ``links`` against the layout of ``planned`` (the same ones when None)."""
    steps = [step(each, worker) for each in planned or links]
    owner = CryptoSigner.generate_ecdsa()
    layout = Layout.read(json.loads(run_layout(pipeline or small_run.pipeline(), steps, expires=expires)))
    envelope = InTotoEnvelope.from_signable(layout)
    envelope.create_signature(owner)
    for each in links:
        signed = dsse.sign(each.to_bytes(), PAYLOAD_TYPE, worker)
        (tmp_path / step(each, worker).file_name).write_bytes(signed.to_bytes())
    key = owner.public_key.to_dict() | {"keyid": owner.public_key.keyid}
    in_toto_verify(envelope, {key["keyid"]: key}, link_dir_path=str(tmp_path))


def changed(task_id, materials, products, **names):
    """The links of the small run, with the one of ``task_id`` replaced."""
    return [each for each in small_run.links() if each.environment.run.task_id != task_id] + [
        link(task_id, materials, products, **names)
    ]


def test_in_toto_accepts_the_links_of_the_run(tmp_path, worker):
    judge(tmp_path, worker, small_run.links())


def test_steps_come_in_the_order_of_the_pipeline(worker):
    layout = layout_of(reversed(small_run.links()), worker)
    assert [step["name"] for step in layout["steps"]] == ["ingest", "prep.split", "train[0]", "train[1]", "select"]


def test_material_rules_match_what_was_produced_before_and_allow_only_what_came_from_outside(worker):
    layout = layout_of(small_run.links(), worker)
    assert rules_of(layout, "ingest", "expected_materials") == [
        ["REQUIRE", RUN],
        ["ALLOW", RUN],
        ["ALLOW", "s3://raw/in[[]1][?].csv"],
        ["DISALLOW", "*"],
    ]
    assert rules_of(layout, "select", "expected_materials") == [
        ["REQUIRE", RUN],
        ["MATCH", "*", "WITH", "PRODUCTS", "FROM", "prep.split"],
        ["MATCH", "*", "WITH", "PRODUCTS", "FROM", "train[0]"],
        ["MATCH", "*", "WITH", "PRODUCTS", "FROM", "train[1]"],
        ["ALLOW", RUN],
        ["DISALLOW", "*"],
    ]


def test_product_rules_tell_what_was_created_changed_and_left(worker):
    links = changed(
        "select", {"file:///a": "1", "file:///b": "2"}, {"file:///a": "1", "file:///b": "3", "file:///c": "4"}
    )
    assert rules_of(layout_of(links, worker), "select", "expected_products") == [
        ["REQUIRE", "file:///a"],
        ["REQUIRE", "file:///b"],
        ["REQUIRE", "file:///c"],
        ["ALLOW", "file:///a"],
        ["MODIFY", "file:///b"],
        ["CREATE", "file:///c"],
        ["DISALLOW", "*"],
    ]


def test_the_readme_is_a_table_of_the_steps(worker):
    readme = json.loads(layout_of(small_run.links(), worker)["readme"])
    assert (readme["deployment"], readme["dag_id"], readme["run_id"]) == ("prod", "churn", small_run.RUN_ID)
    assert readme["steps"][2] == {
        "name": "train[0]",
        "task_id": "train",
        "map_index": 0,
        "try_number": 1,
        "state": "success",
    }


def test_an_input_that_is_not_what_the_task_before_produced_is_refused(tmp_path, worker):
    links = changed(
        "prep.split", {small_run.TABLE: "another table"}, {small_run.TRAIN: "train", small_run.TEST: "test"}
    )
    with pytest.raises(RuleVerificationError):
        judge(tmp_path, worker, links)


def test_an_input_that_nobody_planned_is_refused(tmp_path, worker):
    links = changed("ingest", {small_run.RAW: "raw", "s3://raw/in1x.csv": "poison"}, {small_run.TABLE: "table"})
    with pytest.raises(RuleVerificationError):
        judge(tmp_path, worker, links, planned=small_run.links())


def test_a_product_more_or_less_is_refused(tmp_path, worker):
    for products in ({}, {small_run.TABLE: "table", "s3://lake/more": "more"}):
        with pytest.raises(RuleVerificationError):
            judge(tmp_path, worker, changed("ingest", {small_run.RAW: "raw"}, products), planned=small_run.links())


def test_a_link_replayed_from_another_run_is_refused(tmp_path, worker):
    replayed = changed("ingest", {small_run.RAW: "raw"}, {small_run.TABLE: "table"}, run_id="manual__2026-01-30")
    with pytest.raises(RuleVerificationError):
        judge(tmp_path, worker, replayed, planned=small_run.links())


def test_a_layout_ends(tmp_path, worker):
    with pytest.raises(LayoutExpiredError):
        judge(tmp_path, worker, small_run.links(), expires=datetime.now(UTC) - timedelta(seconds=1))


def test_a_layout_of_another_owner_is_refused(worker):
    envelope = InTotoEnvelope.from_signable(Layout.read(layout_of(small_run.links(), worker)))
    envelope.create_signature(CryptoSigner.generate_ecdsa())
    stranger = CryptoSigner.generate_ecdsa().public_key
    with pytest.raises(SignatureVerificationError):
        in_toto_verify(envelope, {stranger.keyid: stranger.to_dict() | {"keyid": stranger.keyid}})


def test_a_task_id_that_no_file_system_keeps_is_verified_all_the_same(tmp_path, worker):
    long = "тренировка" * 25  # 250 characters, as Airflow allows, and 500 bytes
    tasks = {long: small_run.pipeline().tasks["ingest"]}
    judge(tmp_path, worker, [link(long, {}, {"file:///a": "1"})], pipeline=Pipeline(dag_id="churn", tasks=tasks))


def test_links_of_two_runs_make_no_layout(worker):
    links = [*small_run.links(), link("ingest", {}, {}, run_id="another")]
    with pytest.raises(StatementError, match="one run"):
        layout_of(links, worker)


def test_a_link_of_no_task_of_the_pipeline_makes_no_layout(worker):
    with pytest.raises(StatementError, match="a task of its pipeline"):
        layout_of([link("stranger", {}, {})], worker)


def test_no_links_make_no_layout(worker):
    with pytest.raises(StatementError):
        layout_of([], worker)


def test_two_links_of_one_step_make_no_layout(worker):
    with pytest.raises(StatementError, match="once each"):
        layout_of([link("ingest", {}, {}), link("ingest", {}, {}, try_number=2)], worker)


def test_a_name_too_long_for_a_file_makes_no_layout(worker):
    steps = [step(link("ingest", {}, {}), worker, name="x" * 201)]
    with pytest.raises(StatementError, match="200 bytes"):
        run_layout(small_run.pipeline(), steps, expires=LATER)
