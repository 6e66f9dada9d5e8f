"""What holds for every Sigstore bundle and trusted root: one spelling, and hostile bytes are malformed."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_atlas.encoding import canonical_json
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.sigstore.bundle import SigstoreBundle
from airflow_provider_atlas.sigstore.trusted_root import TrustedRoot
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.timestamp import TrustedAuthority
from airflow_provider_atlas.wiring import logs
from tests.support.attested_run import AttestedRun
from tests.support.fulcio import keyless
from tests.support.rekor_v1 import ORIGIN, RekorV1
from tests.support.small_run import MemorySigner

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="+", exclude_categories=("C", "Z")), min_size=1)
KEYS = st.builds(VerifierKey, name=NAMES, public_key=st.binary(min_size=32, max_size=32))

CHAINS = st.lists(st.binary(max_size=9), max_size=3).map(tuple)
AUTHORITIES = st.builds(TrustedAuthority, name=st.text(max_size=9), certificates=CHAINS)
CT_KEYS = st.sampled_from([MemorySigner().public_key for _ in range(3)])
ROOTS = st.builds(
    TrustedRoot,
    logs=st.lists(KEYS, max_size=2).map(tuple),
    authorities=st.lists(AUTHORITIES, max_size=2).map(tuple),
    fulcios=st.lists(CHAINS, max_size=2).map(tuple),
    ct_keys=st.lists(CT_KEYS, max_size=2).map(tuple),
)


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folders = [tmp_path_factory.mktemp("run") for _ in range(4)]
    with RekorV1() as other, keyless(folders[0]) as services:
        section = {"log": f"rekor-v1:{other.url}", "log_key": str(other.key), "log_origin": ORIGIN}
        certified = dict(services.section)
        runs = [
            AttestedRun(folders[0]).complete(),
            AttestedRun(folders[1], **section).complete(),
            AttestedRun(folders[2], trust=services.trust, **certified).complete(),
            AttestedRun(folders[3], trust=services.trust, **certified, **section).complete(),
        ]
    return [
        SigstoreBundle.of(
            envelope,
            bundle.certificate_of(role) or bundle.public_key,
            bundle.receipts[role],
            logs.trusted_log(run.settings),
        ).to_bytes()
        for run in runs
        for _, bundle in run.records.values()
        for role, envelope in bundle.envelopes.items()
    ]


def test_every_bundle_of_a_run_parses_to_itself(contents: list[bytes]) -> None:
    assert len(contents) == 52
    for content in contents:
        assert SigstoreBundle.parse(content).to_bytes() == content


@settings(max_examples=200)
@given(data=st.data())
def test_a_bundle_with_a_changed_byte_is_malformed_or_another_bundle(
    contents: list[bytes], data: st.DataObject
) -> None:
    content = data.draw(st.sampled_from(contents))
    place, byte = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 255))
    changed = content[:place] + bytes([byte]) + content[place + 1 :]
    try:
        bundle = SigstoreBundle.parse(changed)
    except MalformedError:
        return
    assert bundle.to_bytes() == changed


@settings(max_examples=200)
@given(data=st.data())
def test_a_bundle_with_a_member_gone_or_replaced_is_malformed_or_another(
    contents: list[bytes], data: st.DataObject
) -> None:
    document = json.loads(data.draw(st.sampled_from(contents)))
    holder, name = document, data.draw(st.sampled_from(sorted(document)))
    while isinstance(holder[name], dict | list) and data.draw(st.booleans()):
        holder = holder[name]
        name = data.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
    if data.draw(st.booleans()):
        del holder[name]
    else:
        holder[name] = data.draw(st.sampled_from([None, 0, "", "0", "AA==", [], {}, ["AA=="]]))
    changed = canonical_json(document)
    try:
        bundle = SigstoreBundle.parse(changed)
    except MalformedError:
        return
    assert bundle.to_bytes() == changed


@given(content=st.binary())
def test_no_bytes_do_more_than_be_malformed(content: bytes) -> None:
    for parse in (SigstoreBundle.parse, TrustedRoot.parse):
        with pytest.raises(MalformedError):
            parse(content)


@given(root=ROOTS)
def test_a_trusted_root_parses_to_itself(root: TrustedRoot) -> None:
    assert TrustedRoot.parse(root.to_bytes()) == root


@settings(max_examples=200)
@given(data=st.data(), root=ROOTS)
def test_a_trusted_root_with_a_changed_byte_is_malformed_or_another(data: st.DataObject, root: TrustedRoot) -> None:
    content = root.to_bytes()
    place, byte = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 255))
    changed = content[:place] + bytes([byte]) + content[place + 1 :]
    try:
        root = TrustedRoot.parse(changed)
    except MalformedError:
        return
    assert root.to_bytes() == changed
