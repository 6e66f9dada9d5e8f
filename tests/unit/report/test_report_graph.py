"""The drawing of a pipeline: every task once, upstreams to the left, and lies survive being drawn."""

import random
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.report import graph
from tests.support import sample_reports
from tests.support.sample_reports import record, report_of


def _report(upstreams):
    return report_of([record(step, number, upstream) for number, (step, upstream) in enumerate(upstreams.items())])


def _drawn(report):
    drawing = graph.draw(report)
    assert drawing is not None
    return drawing, {node.name: node for node in drawing.nodes}


def test_every_task_stands_to_the_right_of_its_upstreams():
    _, nodes = _drawn(_report(sample_reports.CHURN))
    assert nodes.keys() == sample_reports.CHURN.keys()
    for name, upstream in sample_reports.CHURN.items():
        assert all(nodes[other].x < nodes[name].x for other in upstream)


@given(st.integers(1, 12), st.randoms(use_true_random=False))
def test_no_two_tasks_overlap_and_all_are_inside(size, chance):
    upstreams = {
        f"t{number}": [f"t{other}" for other in range(number) if chance.random() < 0.3] for number in range(size)
    }
    drawing, nodes = _drawn(_report(upstreams))
    for one, other in combinations(nodes.values(), 2):
        assert abs(one.x - other.x) >= graph.NODE_WIDTH or abs(one.y - other.y) >= graph.NODE_HEIGHT
    for node in nodes.values():
        assert 0 <= node.x <= drawing.width - graph.NODE_WIDTH
        assert 0 <= node.y <= drawing.height - graph.NODE_HEIGHT


@given(st.integers(1, 10), st.randoms(use_true_random=False))
def test_records_that_wait_for_one_another_are_drawn_all_the_same(size, chance):
    names = [f"t{number}" for number in range(size)]
    upstreams = {name: [other for other in names if chance.random() < 0.4] for name in names}
    _, nodes = _drawn(_report(upstreams))
    assert sorted(nodes) == sorted(names)


def test_instances_of_a_mapped_task_are_drawn_as_one():
    drawing, nodes = _drawn(sample_reports.mapped(200))
    assert nodes["score"].note == "200 × success"
    assert drawing.description == "list_images before score; score before summarize"


def test_a_task_shows_the_worst_answer_about_its_records():
    _, nodes = _drawn(sample_reports.failed())
    assert nodes["join"].status == "failed"
    assert nodes["train"].status == "passed"
    assert nodes["train"].note == "success, 2 tries"


def test_a_task_that_failed_shows_it_even_when_its_record_is_good():
    _, nodes = _drawn(sample_reports.failed())
    assert (nodes["publish"].note, nodes["publish"].ended_well) == ("failed", False)
    assert nodes["train"].ended_well


def test_an_upstream_without_a_record_is_drawn_as_missing():
    _, nodes = _drawn(report_of([record("train", 0, ["ghost"])]))
    assert (nodes["ghost"].status, nodes["ghost"].note) == (None, "no record")


def test_the_order_of_the_records_does_not_change_the_drawing():
    report = _report(sample_reports.CHURN)
    shuffled = list(report.records)
    random.Random(7).shuffle(shuffled)
    assert graph.draw(replace(report, records=shuffled)) == graph.draw(report)


@pytest.mark.parametrize("size", [0, 3500])
def test_nothing_and_too_much_are_not_drawn(size):
    assert graph.draw(report_of([record(f"t{number}", number) for number in range(size)])) is None
