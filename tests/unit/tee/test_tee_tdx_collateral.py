"""Collateral, as dcap-qvl reads it and nothing more."""

import json
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.tdx.collateral import Collateral

REAL = (Path(__file__).parents[2] / "vectors" / "tee" / "tdx_v5.collateral.json").read_bytes()


def changed(**members: object) -> bytes:
    return json.dumps({**json.loads(REAL), **members}).encode()


def test_real_collateral_means_the_same_after_reading_it():
    assert json.loads(Collateral.parse(REAL).to_bytes()) == json.loads(REAL)


def test_what_was_written_reads_the_same():
    collateral = Collateral.parse(REAL)
    assert Collateral.parse(collateral.to_bytes()) == collateral


def test_intel_signs_both_documents_with_one_certificate():
    assert len(Collateral.parse(REAL).signers()) == 1


def test_a_second_chain_for_the_platform_is_not_handed_on():
    collateral = Collateral.parse(changed(pck_certificate_chain="another"))
    assert collateral == Collateral.parse(REAL)


@pytest.mark.parametrize("name", json.loads(REAL))
def test_every_member_is_needed(name: str):
    document = json.loads(REAL)
    del document[name]
    with pytest.raises(MalformedError, match=name):
        Collateral.parse(json.dumps(document).encode())


def test_an_unknown_member_is_refused():
    with pytest.raises(MalformedError, match="unknown members: 'tcb_override'"):
        Collateral.parse(changed(tcb_override="UpToDate"))


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b'{"tcb_info": 1}', b"\xff", changed(tcb_info=None)])
def test_what_is_no_collateral_is_refused(data: bytes):
    with pytest.raises(MalformedError):
        Collateral.parse(data)


def test_collateral_of_more_than_a_mebibyte_is_refused_unread():
    with pytest.raises(MalformedError, match="at most 1048576 bytes"):
        Collateral.parse(b" " * ((1 << 20) + 1))


@pytest.mark.parametrize("name", ["tcb_info_issuer_chain", "qe_identity_issuer_chain"])
@pytest.mark.parametrize("chain", ["", "é", "-----BEGIN CERTIFICATE-----\n"])
def test_signers_without_a_certificate_are_refused(name: str, chain: str):
    with pytest.raises(MalformedError):
        Collateral.parse(changed(**{name: chain})).signers()
