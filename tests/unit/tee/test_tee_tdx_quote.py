"""The layout of a quote, on quotes that silicon made."""

from pathlib import Path

import dcap_qvl
import pytest

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.tdx.intel import INTEL_ROOT_SHA256
from airflow_provider_atlas.tee.tdx.quote import TdxQuote, trim
from airflow_provider_atlas.tee.tdx.report import TdReport

VECTORS = Path(__file__).parents[2] / "vectors" / "tee"
REAL = ["tdx_v4_padded", "tdx_v4_out_of_date", "tdx_v5", "tdx_v5_no_tcb_level", "tdx_v5_extended"]
DCAP_NAMES = {
    "mr_td": "mrtd",
    "rt_mr0": "rtmr0",
    "rt_mr1": "rtmr1",
    "rt_mr2": "rtmr2",
    "rt_mr3": "rtmr3",
    "mr_config_id": "mrconfigid",
    "mr_owner": "mrowner",
    "mr_owner_config": "mrownerconfig",
    "mr_seam": "mrseam",
    "mr_signer_seam": "mrsignerseam",
    "seam_attributes": "seam_attributes",
    "td_attributes": "td_attributes",
    "xfam": "xfam",
    "tee_tcb_svn": "tee_tcb_svn",
    "report_data": "report_data",
}


def real(name: str) -> bytes:
    return trim((VECTORS / f"{name}.quote").read_bytes())


@pytest.fixture
def quote() -> bytes:
    return real("tdx_v4_padded")


@pytest.mark.parametrize("name", REAL)
def test_a_real_quote_reads_as_dcap_qvl_reads_it(name: str):
    ours, theirs = TdxQuote.parse(real(name)).report, dcap_qvl.parse_quote(real(name)).report
    assert {mine: getattr(ours, mine) for mine in DCAP_NAMES.values()} == {
        mine: getattr(theirs, other) for other, mine in DCAP_NAMES.items()
    }


@pytest.mark.parametrize("name", REAL)
def test_a_real_quote_is_written_as_it_was_read(name: str):
    assert TdxQuote.parse(real(name)).to_bytes() == real(name)


@pytest.mark.parametrize("name", REAL)
def test_a_real_quote_carries_intels_root(name: str):
    assert TdxQuote.parse(real(name)).certification.chain.root_sha256 == INTEL_ROOT_SHA256


@pytest.mark.parametrize("name", REAL)
def test_a_real_production_guest_is_neither_debugged_nor_migratable(name: str):
    report = TdxQuote.parse(real(name)).report
    assert not report.debug
    assert not report.migratable


def test_a_tdx_1_5_report_tells_the_tcb_that_runs_now():
    td15 = TdxQuote.parse(real("tdx_v5")).report.td15
    assert td15 is not None
    assert td15.tee_tcb_svn2 == dcap_qvl.parse_quote(real("tdx_v5")).report.tee_tcb_svn2
    assert td15.mrservicetd == bytes(48)


def test_an_extended_report_tells_which_guest_it_is():
    td15 = TdxQuote.parse(real("tdx_v5_extended")).report.td15
    theirs = dcap_qvl.parse_quote(real("tdx_v5_extended")).report
    assert td15 is not None
    assert td15.extended is not None
    assert (td15.extended.td_id, td15.extended.vmid[0]) == (theirs.td_id, theirs.vmid)
    assert td15.extended.cur_service_td_hash == theirs.cur_service_td_hash == bytes(48)


def test_trimming_cuts_a_drivers_buffer_to_the_quote():
    buffer = (VECTORS / "tdx_v4_padded.quote").read_bytes()
    assert (len(buffer), len(trim(buffer))) == (5006, 4936)


def test_trimming_a_quote_that_needs_none_changes_nothing(quote: bytes):
    assert trim(quote) == quote


@pytest.mark.parametrize("tail", [b"\n", b"\0\0\1", b"x" * 64])
def test_trimming_refuses_anything_but_zeros_after_the_quote(quote: bytes, tail: bytes):
    with pytest.raises(MalformedError, match="nothing but zeros"):
        trim(quote + tail)


@pytest.mark.parametrize("size", [0, 1, 47, 54, 632, 4935])
def test_trimming_refuses_a_buffer_that_ends_before_its_quote(quote: bytes, size: int):
    with pytest.raises(MalformedError):
        trim(quote[:size])


def test_the_padding_of_a_driver_is_not_part_of_a_quote():
    with pytest.raises(MalformedError, match="expected the TDX quote to have 4936 bytes, not 5006"):
        TdxQuote.parse((VECTORS / "tdx_v4_padded.quote").read_bytes())


def test_a_quote_longer_than_linux_gives_is_refused_unread(quote: bytes):
    with pytest.raises(MalformedError, match="at most 32768 bytes"):
        TdxQuote.parse(quote + bytes(32768))


@pytest.mark.parametrize(
    ("at", "octets", "message"),
    [
        (0, b"\3\0", "version 4 or 5, not 3"),
        (2, b"\3\0", "attestation key type"),
        (4, b"\0\0\0\0", "TEE type"),
        (12, bytes(16), "Intel's quoting enclave"),
        (764, b"\5\0", "certification data type"),
        (770 + 384 + 64 + 2 + 32, b"\3\0", "certification data type"),
    ],
)
def test_a_quote_of_another_kind_is_refused(quote: bytes, at: int, octets: bytes, message: str):
    with pytest.raises(MalformedError, match=message):
        TdxQuote.parse(quote[:at] + octets + quote[at + len(octets) :])


@pytest.mark.parametrize("sizes", [(632,), (632, 766), (632, 766, 770 + 384 + 64 + 2 + 32 + 2)])
def test_bytes_hidden_inside_a_quote_are_refused(quote: bytes, sizes: tuple[int, ...]):
    # Each size is widened, so that the hidden bytes belong to one structure more and to no field.
    hiding = bytearray(quote + b"hidden")
    for at in sizes:
        hiding[at : at + 4] = (int.from_bytes(hiding[at : at + 4], "little") + 6).to_bytes(4, "little")
    with pytest.raises(MalformedError):
        TdxQuote.parse(bytes(hiding))


@pytest.mark.parametrize("size", [583, 585, 647, 649, 884, 886])
def test_a_report_of_another_size_is_refused(size: int):
    with pytest.raises(MalformedError, match="TD report"):
        TdReport.parse(bytes(size))


@pytest.mark.parametrize(("kind", "size"), [(1, 384), (4, 885), (4, 648), (2, 648), (3, 584)])
def test_a_version_5_quote_of_another_report_type_or_size_is_refused(kind: int, size: int):
    quote = real("tdx_v5")
    with pytest.raises(MalformedError, match="expected"):
        TdxQuote.parse(quote[:48] + kind.to_bytes(2, "little") + size.to_bytes(4, "little") + quote[54:])
