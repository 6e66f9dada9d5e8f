"""What a quote commits to. The first test is the protocol: when it fails, every quote ever made stops binding."""

import hashlib
from dataclasses import replace

import pytest

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.intoto.beacon import Beacon
from airflow_provider_atlas.tee.binding import Binding, is_committed

BEACON = Beacon(origin="log.example/atlas", size=7, root=b"\4" * 32)
BINDING = Binding(purpose="task", statement=b"\1" * 32, key=b"\2" * 32, nonce=b"\3" * 16, beacon=BEACON)


def test_the_report_data_is_the_sha512_of_the_domain_and_the_canonical_preimage():
    preimage = (
        '{"beacon":{"origin":"log.example/atlas","root":"' + "04" * 32 + '","size":7},'
        '"key":"' + "02" * 32 + '","nonce":"' + "03" * 16 + '","purpose":"task",'
        '"statement":"' + "01" * 32 + '","v":1}'
    )
    expected = hashlib.sha512(b"atlas-tee-report-data-v1\0" + preimage.encode())
    assert BINDING.report_data() == expected.digest()
    assert len(BINDING.report_data()) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": "session"},
        {"statement": b"\1" * 31 + b"\0"},
        {"key": b"\2" * 31 + b"\0"},
        {"nonce": b"\3" * 15 + b"\0"},
        {"beacon": None},
        {"beacon": replace(BEACON, origin="log.example/other")},
        {"beacon": replace(BEACON, size=8)},
        {"beacon": replace(BEACON, root=b"\5" * 32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_binding_to_anything_else_has_other_report_data(change: dict[str, object]):
    assert replace(BINDING, **change).report_data() != BINDING.report_data()


@pytest.mark.parametrize("binding", [BINDING, replace(BINDING, beacon=None)])
def test_a_binding_reads_as_it_was_written(binding: Binding):
    assert Binding.parse(binding.to_json()) == binding


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": True},
        {"purpose": "everything"},
        {"statement": "01" * 31},
        {"key": "0A" * 32},
        {"nonce": None},
        {"beacon": {}},
        {"extra": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_preimage_is_refused(change: dict[str, object]):
    with pytest.raises(MalformedError):
        Binding.parse({**BINDING.to_json(), **change})


def test_what_is_no_object_is_refused():
    with pytest.raises(MalformedError):
        Binding.parse([])


def test_evidence_commits_to_the_report_data_itself_or_where_it_is_short_to_its_digest():
    report_data = BINDING.report_data()
    assert is_committed(report_data, report_data)
    assert is_committed(report_data, hashlib.sha256(report_data).digest())


@pytest.mark.parametrize(
    "claimed", [b"", bytes(32), bytes(64), BINDING.report_data()[:32], BINDING.report_data() + b"\0"]
)
def test_evidence_that_commits_to_anything_else_is_refused(claimed: bytes):
    assert not is_committed(BINDING.report_data(), claimed)
