"""What holds for every bundle: one spelling, and a stranger's bytes are refused as malformed and nothing else."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.encoding import canonical_json
from airflow_provider_atlas.errors import MalformedError
from tests.support.attested_run import AttestedRun


@pytest.fixture(scope="module", params=["task", "session", "batch"])
def content(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder: Path = tmp_path_factory.mktemp("run")
    run = AttestedRun(folder, attester_mode=request.param).complete()
    return (run.run_folder / "tasks" / "publish" / "1.bundle.json").read_bytes()


def test_a_bundle_parses_to_itself(content: bytes) -> None:
    bundle = AttestationBundle.parse(content)
    assert bundle.to_bytes() == content
    assert set(bundle.envelopes) == set(bundle.receipts) == {"start", "link", "provenance", "tee"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_truncated_bundle_is_malformed(content: bytes, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(MalformedError):
        AttestationBundle.parse(content[:length])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_a_bundle_with_a_changed_byte_is_malformed_or_another_bundle(content: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255))
    changed = content[:place] + bytes([byte]) + content[place + 1 :]
    try:
        bundle = AttestationBundle.parse(changed)
    except MalformedError:
        return
    assert bundle.to_bytes() == changed


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_a_bundle_with_a_member_gone_or_replaced_is_malformed_or_another(content: bytes, data: st.DataObject) -> None:
    document = json.loads(content)
    place, names = document, []
    while isinstance(place, dict) and place:
        names.append(data.draw(st.sampled_from(sorted(place))))
        holder, place = place, place[names[-1]]
        if data.draw(st.booleans()):
            break
    if data.draw(st.booleans()):
        del holder[names[-1]]
    else:
        holder[names[-1]] = data.draw(
            st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3) | st.just([])
        )
    try:
        bundle = AttestationBundle.parse(canonical_json(document))
    except MalformedError:
        return
    assert bundle.to_bytes() == canonical_json(document)


def test_evidence_without_its_statement_is_malformed(content: bytes) -> None:
    document = json.loads(content)
    del document["envelopes"]["tee"], document["receipts"]["tee"]
    with pytest.raises(MalformedError, match="evidence exactly where"):
        AttestationBundle.parse(canonical_json(document))


def test_a_receipt_for_nothing_is_malformed(content: bytes) -> None:
    document = json.loads(content)
    del document["envelopes"]["start"]
    with pytest.raises(MalformedError, match="receipts and time-stamps of these alone"):
        AttestationBundle.parse(canonical_json(document))


def test_a_link_alone_is_no_record(content: bytes) -> None:
    document = json.loads(content)
    document["envelopes"] = {"link": document["envelopes"]["link"]}
    document["receipts"], document["evidence"] = {}, None
    with pytest.raises(MalformedError, match="envelopes of one record"):
        AttestationBundle.parse(canonical_json(document))
