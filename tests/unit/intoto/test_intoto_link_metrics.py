"""Metrics in a link: numbers to us, text on the wire, so that in-toto reads the link."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_toto.models.link import Link as InTotoLink

from airflow_provider_atlas.encoding import parse_json
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.intoto.link import Link
from tests.support.small_run import link

ANY_METRIC = st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False)


def with_metrics(**metrics):
    plain = link("train", {}, {})
    return replace(plain, outcome=replace(plain.outcome, metrics=metrics))


@given(ANY_METRIC)
def test_every_metric_that_can_be_recorded_comes_back(number):
    measured = with_metrics(accuracy=number)
    again = Link.parse(measured.to_bytes())
    assert again.outcome.metrics == {"accuracy": float(number) if abs(number) > 2**53 else number}
    assert again.to_bytes() == measured.to_bytes()


@pytest.mark.parametrize("number", [0.9386, 3, 1e20, 10**18, -1e-9])
def test_in_toto_reads_a_link_with_metrics(number):
    value = parse_json(with_metrics(accuracy=number).to_bytes())
    assert InTotoLink.read(dict(value)).name == "train"


@pytest.mark.parametrize(
    "text", ["0.50", "1.0", "1e21", "-0", " 1", "true", "null", '"1"', "[1]", "NaN", "", "1e400", "1" * 400]
)
def test_a_metric_in_another_spelling_is_refused(text):
    payload = with_metrics(accuracy=0.5).to_bytes()
    spelled = text.replace('"', '\\"').encode()
    with pytest.raises(MalformedError):
        Link.parse(payload.replace(b'"accuracy":"0.5"', b'"accuracy":"%s"' % spelled))


def test_a_metric_that_is_a_number_on_the_wire_is_refused():
    payload = with_metrics(accuracy=0.5).to_bytes()
    with pytest.raises(MalformedError, match="a string"):
        Link.parse(payload.replace(b'"accuracy":"0.5"', b'"accuracy":0.5'))
