"""``docs/bundle.schema.json`` accepts every bundle that the code makes, and refuses what the code refuses."""

import base64
import copy
import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.encoding import b64decode, canonical_json
from airflow_provider_atlas.errors import MalformedError
from tests.support.fulcio import IDENTITY, ISSUER, Fulcio, Wanted

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "bundle.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
VECTORS = ROOT / "tests" / "vectors"
BUNDLES = {
    path.relative_to(VECTORS).as_posix(): path.read_bytes()
    for vector in ("format-v1", "format-v1-modes", "format-v1-certified")
    for pattern in ("*.bundle.json", "*.start.json")
    for path in sorted((VECTORS / vector).rglob(pattern))
}
FULL, CERTIFIED = (
    json.loads(next(content for name, content in BUNDLES.items() if name.startswith(vector) and "train" in name))
    for vector in ("format-v1/", "format-v1-certified/")
)
IN_MODES = {
    mode: next(
        json.loads(content)
        for name, content in BUNDLES.items()
        if "format-v1-modes" in name and f"{step}/1.bundle" in name
    )
    for mode, step in (("session", "split"), ("batch", "train[1]"))
}

Where = tuple[str | int, ...]


def members(value, path: Where = ()):
    """The path of every member of every object in ``value``."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in items:
        if isinstance(value, dict):
            yield (*path, name)
        yield from members(member, (*path, name))


def at(value, path: Where):
    for name in path:
        value = value[name]
    return value


def refused_by_both(document) -> bool:
    """Whether schema and code refuse ``document``; they must agree."""
    try:
        AttestationBundle.parse(canonical_json(document))
        parsed = True
    except MalformedError:
        parsed = False
    assert VALIDATOR.is_valid(document) == parsed
    return not parsed


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_of_ours_validates(name):
    AttestationBundle.parse(BUNDLES[name])
    VALIDATOR.validate(json.loads(BUNDLES[name]))


def test_there_are_bundles_of_every_kind_to_try():
    roles = {frozenset(json.loads(content)["envelopes"]) for content in BUNDLES.values()}
    assert roles == {
        frozenset({"link", "provenance", "tee"}),
        frozenset({"start", "link", "provenance", "tee"}),
        frozenset({"start"}),
        frozenset({"manifest"}),
    }


@pytest.mark.parametrize("path", list(members(FULL)), ids=lambda path: "/".join(map(str, path)))
def test_a_member_that_is_missing_is_refused(path):
    document = copy.deepcopy(FULL)
    del at(document, path[:-1])[path[-1]]
    optional = path[0] in ("receipts", "timestamps") and len(path) == 2
    if path == ("envelopes", "start"):  # without its receipt, a record without a start is one as well
        del document["receipts"]["start"]
        optional = True
    assert refused_by_both(document) is not optional


@pytest.mark.parametrize(
    "path", [(), *{path[:-1] for path in members(FULL)}], ids=lambda path: "/".join(map(str, path))
)
def test_a_member_that_nobody_knows_is_refused(path):
    document = copy.deepcopy(FULL)
    at(document, path)["unknown"] = "x"
    assert refused_by_both(document)


@pytest.mark.parametrize("path", list(members(FULL)), ids=lambda path: "/".join(map(str, path)))
@pytest.mark.parametrize("value", [None, 7, True, [], {}], ids=repr)
def test_a_member_of_another_type_is_refused(path, value):
    document = copy.deepcopy(FULL)
    at(document, path[:-1])[path[-1]] = value
    allowed = (path, value) in [
        (("receipts",), {}),
        (("timestamps",), {}),
        (("evidence", "endorsements"), []),
        (("evidence", "binding", "beacon"), None),
        (("evidence", "binding", "beacon", "size"), 7),
    ]
    assert refused_by_both(document) is not allowed


def of_evidence():
    """The mode and path of every member of the evidence that is not as in the mode ``task``."""
    for mode, record in IN_MODES.items():
        for path in members(record, ()):
            if path[0] == "evidence" and path[1:2] in (("binding",), ("batch",), ("timestamp",)):
                yield pytest.param(mode, path, id="/".join(map(str, (mode, *path))))


@pytest.mark.parametrize(("mode", "path"), list(of_evidence()))
def test_a_member_of_a_session_or_a_batch_that_is_missing_is_refused(mode, path):
    document = copy.deepcopy(IN_MODES[mode])
    del at(document, path[:-1])[path[-1]]
    assert refused_by_both(document)


@pytest.mark.parametrize(("mode", "path"), list(of_evidence()))
@pytest.mark.parametrize("value", [None, 7, True, [], {}, 4096], ids=repr)
def test_a_member_of_a_session_or_a_batch_of_another_type_or_beyond_its_limit_is_refused(mode, path, value):
    document = copy.deepcopy(IN_MODES[mode])
    at(document, path[:-1])[path[-1]] = value
    allowed = (path[1:], value) in [
        (("binding", "beacon"), None),
        (("binding", "statement"), None if mode == "session" else ...),
        (("binding", "beacon", "size"), 7),
        (("binding", "beacon", "size"), 4096),
        (("timestamp",), None),
        (("batch", "index"), 7),  # no such proof leads anywhere, which is for the verifier to find
        (("batch", "size"), 7),
        (("batch", "size"), 4096),
        (("batch", "hashes"), []),
    ]
    assert refused_by_both(document) is not allowed


@pytest.mark.parametrize("mode", IN_MODES)
@pytest.mark.parametrize("purpose", ["task", "session", "batch"])
def test_evidence_has_the_members_of_its_mode_and_no_others(mode, purpose):
    document = copy.deepcopy(IN_MODES[mode])
    document["evidence"]["binding"]["purpose"] = purpose
    assert refused_by_both(document) is (mode != purpose)


def test_a_batch_proof_beyond_what_a_batch_can_have_is_refused():
    document = copy.deepcopy(IN_MODES["batch"])
    document["evidence"]["batch"]["hashes"] = ["00" * 32] * 12
    assert not refused_by_both(document)
    document["evidence"]["batch"]["hashes"] = ["00" * 32] * 13
    assert refused_by_both(document)


def test_a_signer_is_named_by_a_key_or_a_certificate_and_not_by_both():
    certificate, key = CERTIFIED["verificationMaterial"]["certificate"], FULL["verificationMaterial"]["publicKey"]
    manifest = next(content for name, content in BUNDLES.items() if "certified" in name and "manifest" in name)
    alone, another = json.loads(manifest), _another_certificate()
    assert not refused_by_both({**CERTIFIED, "verificationMaterial": {"certificate": another}})
    older = {"certificate": certificate, "startCertificate": another}
    assert not refused_by_both({**CERTIFIED, "verificationMaterial": older})
    assert refused_by_both({**alone, "verificationMaterial": older})
    for material in ({}, {"startCertificate": another}, {"publicKey": key, "certificate": certificate}):
        assert refused_by_both({**CERTIFIED, "verificationMaterial": material})
    for value in (None, 7, {}, [certificate]):
        assert refused_by_both({**CERTIFIED, "verificationMaterial": {**older, "startCertificate": value}})
        assert refused_by_both({**CERTIFIED, "verificationMaterial": {**older, "certificate": value}})


def _another_certificate() -> str:
    wanted = Wanted(
        spki=ec.generate_private_key(ec.SECP256R1()).public_key(),
        identity=IDENTITY,
        issuer=ISSUER,
        begins=datetime.now(UTC),
    )
    return base64.b64encode(Fulcio().issue(wanted).public_bytes(Encoding.DER)).decode()


@pytest.mark.parametrize("value", ["AA==", "QUFB" * 21846], ids=len)
@pytest.mark.parametrize("role", ["link", "manifest", "unknown"])
def test_time_stamps_are_of_an_envelope_that_is_there_and_no_larger_than_the_limit(role, value):
    document = copy.deepcopy(FULL)
    document["timestamps"][role] = value
    assert refused_by_both(document) is not ((role, len(value)) == ("link", 4))


@pytest.mark.parametrize("value", ["", "AA", "A===", "Zg=", " AA==", 7, None])
def test_a_time_stamp_that_is_no_base64_or_empty_is_refused(value):
    document = copy.deepcopy(FULL)
    document["timestamps"]["link"] = value
    assert refused_by_both(document)


def test_evidence_without_its_statement_is_refused_and_so_is_the_statement_alone():
    without, alone = copy.deepcopy(FULL), copy.deepcopy(FULL)
    del without["envelopes"]["tee"], without["receipts"]["tee"]
    alone["evidence"] = None
    assert refused_by_both(without)
    assert refused_by_both(alone)


def test_envelopes_that_do_not_belong_together_are_refused():
    for roles in (
        {"link"},
        {"provenance"},
        {"start", "manifest"},
        {"start", "tee"},
        {"link", "provenance", "manifest"},
    ):
        document = copy.deepcopy(FULL)
        one = FULL["envelopes"]["link"]
        document["envelopes"] = dict.fromkeys(roles, one)
        document["evidence"] = FULL["evidence"] if "tee" in roles else None
        document["receipts"] = {}
        assert refused_by_both(document)


@given(st.binary(max_size=40), st.text(alphabet="AQgwEIMUYckos048=+/-_ \n", max_size=8))
def test_base64_of_the_schema_is_that_of_the_code(data, other):
    validator = jsonschema.Draft202012Validator({"$ref": "#/$defs/base64", "$defs": SCHEMA["$defs"]})
    assert validator.is_valid(base64.b64encode(data).decode())
    try:
        b64decode(other)
        known = True
    except MalformedError:
        known = False
    assert validator.is_valid(other) == known or other.endswith("\n")
