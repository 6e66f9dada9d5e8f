"""What holds for every bundle: one spelling, and a stranger's bytes are refused as malformed and nothing else."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.encoding import canonical_json
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.intoto.link import Link
from tests.support.attested_run import AttestedRun
from tests.support.fulcio import keyless


@pytest.fixture(scope="module", params=["task", "session", "batch", "a certificate"])
def content(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder: Path = tmp_path_factory.mktemp("run")
    if request.param == "a certificate":
        with keyless(folder) as services:
            run = AttestedRun(folder / "run", trust=services.trust, **services.section).complete()
    else:
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
    document["timestamps"].pop("tee", None)
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


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A record of a worker whose certificate ended between the start and the link."""
    folder = tmp_path_factory.mktemp("run")

    def renewed(link: Link) -> Link:
        run.worker.sealer.signer._current = None  # type: ignore[attr-defined]
        return link

    with keyless(folder) as services:
        run = AttestedRun(folder / "run", trust=services.trust, **services.section)
        return run.record("ingest", outputs={"table": b"table"}, start=True, lie=renewed).to_bytes()


def test_what_names_the_signer_is_a_key_or_a_certificate_and_not_both(certified: bytes) -> None:
    document = json.loads(certified)
    material = document["verificationMaterial"]
    assert AttestationBundle.parse(certified).to_bytes() == certified
    assert set(material) == {"certificate", "startCertificate"}
    others = (
        {},
        {"startCertificate": material["startCertificate"]},
        {"certificate": material["certificate"], "startCertificate": material["certificate"]},
        {"certificate": material["certificate"], "startCertificate": None},
        {"certificate": "AAAA"},
        {**material, "publicKey": "AAAA"},
        {**material, "chain": []},
    )
    for other in others:
        with pytest.raises(MalformedError):
            AttestationBundle.parse(canonical_json({**document, "verificationMaterial": other}))


def test_a_certificate_of_a_start_that_is_not_there_is_malformed(certified: bytes) -> None:
    document = json.loads(certified)
    for member in ("envelopes", "receipts", "timestamps"):
        del document[member]["start"]
    with pytest.raises(MalformedError, match="beside a start that a link ends"):
        AttestationBundle.parse(canonical_json(document))
