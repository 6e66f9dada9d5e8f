"""What holds for every record: it parses to itself, has one spelling, and no stranger's bytes do worse than refuse."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.encoding import canonical_json, parse_json
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.intoto.pipeline import Pipeline
from airflow_provider_atlas.intoto.provenance import provenance_of
from airflow_provider_atlas.intoto.run_manifest import RunManifest
from airflow_provider_atlas.intoto.start import is_start_of, start_statement
from airflow_provider_atlas.intoto.statement import Statement
from airflow_provider_atlas.tee.binding import Binding
from tests.support.strategies import bindings, links, manifests, pipelines

PARSERS: list[Callable[[bytes], Any]] = [Link.parse, Statement.parse, Pipeline.parse]


@given(links)
def test_a_link_parses_to_itself(link: Link) -> None:
    again = Link.parse(link.to_bytes())
    assert again.to_bytes() == link.to_bytes()
    assert again.environment == link.environment
    assert again.materials == link.materials


@given(pipelines())
def test_a_pipeline_parses_to_itself_and_orders_its_tasks(pipeline: Pipeline) -> None:
    assert Pipeline.parse(pipeline.to_bytes()) == pipeline
    order = pipeline.order()
    for name, task in pipeline.tasks.items():
        assert all(order.index(upstream) < order.index(name) for upstream in task.upstream)
        assert set(task.upstream) <= pipeline.ancestors(name)


@given(manifests)
def test_a_manifest_parses_to_itself(manifest: RunManifest) -> None:
    assert RunManifest.from_statement(Statement.parse(manifest.to_statement().to_bytes())) == manifest


@given(bindings, bindings)
def test_a_binding_parses_to_itself_and_no_two_have_one_report_data(one: Binding, other: Binding) -> None:
    assert Binding.parse(parse_json(canonical_json(one.to_json()))) == one
    assert (one.report_data() == other.report_data()) == (one == other)
    assert len(one.report_data()) == 64


@given(links, links)
def test_provenance_tells_links_apart(one: Link, other: Link) -> None:
    assert Statement.parse(provenance_of(one).to_bytes()).to_bytes() == provenance_of(one).to_bytes()
    if one.products != other.products or one.environment.run != other.environment.run:
        assert provenance_of(one).to_bytes() != provenance_of(other).to_bytes()


@given(links, st.data())
def test_a_start_is_that_of_its_link_alone(link: Link, data: st.DataObject) -> None:
    environment = link.environment
    start = Statement.parse(
        start_statement(
            run=environment.run,
            nonce=environment.nonce,
            code=environment.code,
            materials=link.materials,
            started=environment.started,
            beacon=environment.beacon,
        ).to_bytes()
    )
    assert is_start_of(start, link)
    assert not is_start_of(start, replace(link, environment=replace(environment, nonce=bytes(16)))) or not any(
        environment.nonce
    )
    if link.materials:
        swapped = data.draw(st.sampled_from(sorted(link.materials)))
        assert not is_start_of(start, replace(link, materials={**link.materials, swapped: "0" * 64})) or (
            link.materials[swapped] == "0" * 64
        )
        fewer = {uri: digest for uri, digest in link.materials.items() if uri != swapped}
        assert not is_start_of(start, replace(link, materials=fewer))


@pytest.mark.parametrize("parse", PARSERS)
@given(content=st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_and_nothing_else(parse: Callable[[bytes], Any], content: bytes) -> None:
    _refuses_or_returns_itself(parse, content)


@given(links, st.data())
def test_a_link_with_one_thing_changed_is_refused_or_another_link(link: Link, data: st.DataObject) -> None:
    document = json.loads(link.to_bytes())
    _change_one_thing(document, data)
    _refuses_or_returns_itself(Link.parse, _spelled(document))


@given(pipelines(), st.data())
def test_a_pipeline_with_one_thing_changed_is_refused_or_another(pipeline: Pipeline, data: st.DataObject) -> None:
    document = json.loads(pipeline.to_bytes())
    _change_one_thing(document, data)
    _refuses_or_returns_itself(Pipeline.parse, _spelled(document))


@given(links, st.sampled_from([b" ", b"\n", b"\t"]), st.data())
def test_another_spelling_of_a_link_is_refused(link: Link, space: bytes, data: st.DataObject) -> None:
    content = link.to_bytes()
    place = data.draw(st.sampled_from([0, 1, len(content) - 1, len(content)]))
    with pytest.raises(MalformedError):
        Link.parse(content[:place] + space + content[place:])


def test_a_cycle_is_no_pipeline() -> None:
    task = {"operator": "x", "mapped": False, "empty": False, "waits": True}
    tasks = {"a": {**task, "upstream": ["b"]}, "b": {**task, "upstream": ["a"]}}
    with pytest.raises(MalformedError, match="wait for itself"):
        Pipeline.parse(canonical_json({"v": 1, "dag_id": "d", "tasks": tasks}))
    with pytest.raises(MalformedError, match="upstream to be a task"):
        Pipeline.parse(canonical_json({"v": 1, "dag_id": "d", "tasks": {"a": tasks["a"]}}))


def _refuses_or_returns_itself(parse: Callable[[bytes], Any], content: bytes) -> None:
    try:
        value = parse(content)
    except MalformedError:
        return
    assert value.to_bytes() == content


def _change_one_thing(document: Any, data: st.DataObject) -> None:
    """Replace or remove one member somewhere in ``document``."""
    place = document
    while isinstance(place, dict) and place:
        name = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[name], dict) or not place[name] or data.draw(st.booleans()):
            if data.draw(st.booleans()):
                del place[name]
            else:
                place[name] = data.draw(
                    st.none()
                    | st.booleans()
                    | st.integers(-5, 5)
                    | st.text(max_size=3)
                    | st.lists(st.integers(), max_size=2)
                    | st.just({})
                )
            return
        place = place[name]


def _spelled(document: Any) -> bytes:
    try:
        return canonical_json(document)
    except MalformedError:
        return b""
