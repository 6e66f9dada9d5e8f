"""The table of certificates that a host hands its guests, in the spellings that hosts use."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from airflow_provider_atlas.errors import MalformedError, MissingError
from airflow_provider_atlas.tee.pem import parse_pem, to_pem
from airflow_provider_atlas.tee.sev_snp.certificate_table import CertificateTable
from tests.support.simulated_snp import evidence, vendor

ARK = "c0b406a4-a803-4952-9743-3fb6014cd0ae"
ASK = "4ab7b379-bbac-4fe4-a02f-05aef327c782"
VCEK = "63da758d-e664-4564-adc5-f4b93be8accd"
VLEK = "a8074bc2-a25a-483e-aae6-39c045a0b8a1"
OTHER = "ecae0c0f-9502-43b1-afa2-0ae2e0d565b6"  # the extra platform information of Intel's TDs, say


def table(entries: Sequence[tuple[str, bytes]], padding: int = 0) -> bytes:
    start, index, blobs = 24 * (len(entries) + 1), b"", b""
    for guid, blob in entries:
        offset = start + len(blobs)
        index += UUID(guid).bytes + offset.to_bytes(4, "little") + len(blob).to_bytes(4, "little")
        blobs += blob
    return index + bytes(24) + blobs + bytes(padding)


@pytest.mark.parametrize("pem", [False, True])
def test_a_hosts_certificates_vouch_for_its_guests_reports(pem: bool):
    simulated = vendor()
    chain = parse_pem(simulated.authority.chain())
    leaf, ask, ark = (to_pem(one) if pem else one for one in chain)
    read = CertificateTable.parse(table([(ARK, ark), (OTHER, b"?"), (ASK, ask), (VCEK, leaf)], padding=500))
    assert (read.vcek, read.ask, read.ark, read.vlek) == (*chain, None)
    told = read.chain("VCEK")
    assert told == simulated.authority.chain()
    assert simulated.verify(evidence(simulated.report(), told))


def test_a_clouds_certificates_vouch_for_its_guests_reports():
    simulated = vendor(vlek=True)
    leaf, ask, ark = parse_pem(simulated.authority.chain())
    told = CertificateTable.parse(table([(VLEK, leaf), (ASK, ask), (ARK, ark)])).chain("VLEK")
    assert simulated.verify(evidence(simulated.report(), told))


def test_a_table_with_both_keys_gives_the_one_that_the_report_names():
    read = CertificateTable.parse(table([(VCEK, b"vcek"), (VLEK, b"vlek")]))
    assert (read.chain("VCEK"), read.chain("VLEK")) == (to_pem(b"vcek"), to_pem(b"vlek"))


def test_a_host_with_no_certificates_gives_none():
    for data in (b"", bytes(24), bytes(4096)):
        read = CertificateTable.parse(data)
        assert read == CertificateTable()
        assert (read.chain("VCEK"), read.chain("VLEK"), read.chain("none")) == (None, None, None)


def test_a_chain_goes_as_far_as_the_table():
    simulated = vendor()
    leaf, ask, ark = parse_pem(simulated.authority.chain())
    assert CertificateTable.parse(table([(VCEK, leaf), (ASK, ask)])).chain("VCEK") == to_pem(leaf, ask)
    alone = CertificateTable.parse(table([(VCEK, leaf), (ARK, ark)])).chain("VCEK")
    assert alone == to_pem(leaf)
    with pytest.raises(MissingError):
        simulated.verify(evidence(simulated.report(), alone))


@pytest.mark.parametrize(
    "data",
    [
        bytes(23),
        table([(VCEK, b"1")])[:-1],
        UUID(VCEK).bytes + b"\xff" * 8 + bytes(24),
        UUID(VCEK).bytes + bytes(8),
        table([(VCEK, b"1"), (VCEK, b"2")]),
        table([(VCEK, b"-----BEGIN CERTIFICATE-----\n")]),
        table([(VCEK, to_pem(b"1", b"2"))]),
        table([(VCEK, b"1")], padding=32 * 1024),
    ],
    ids=["short", "cut", "outside", "endless", "twice", "no PEM", "two in one", "large"],
)
def test_what_is_no_table_is_malformed(data: bytes):
    with pytest.raises(MalformedError):
        CertificateTable.parse(data)
