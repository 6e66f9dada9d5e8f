"""What holds for every TDX quote, and for every change of one."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
from airflow_provider_atlas.tee.tdx.certification import Certification, PckChain
from airflow_provider_atlas.tee.tdx.collateral import Collateral
from airflow_provider_atlas.tee.tdx.intel import INTEL_ROOT_SHA256
from airflow_provider_atlas.tee.tdx.quote import TdxQuote, trim
from airflow_provider_atlas.tee.tdx.report import Td15, Td15Extended, TdReport
from tests.support.simulated_tdx import AT, Vendor, evidence

VECTORS = Path(__file__).parents[1] / "vectors" / "tee"
REAL = (VECTORS / "tdx_v5.quote").read_bytes()
REAL_COLLATERAL = (VECTORS / "tdx_v5.collateral.json").read_bytes()
REAL_AT = datetime(2026, 2, 18, 11, tzinfo=UTC)


def octets(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def reports(td15: st.SearchStrategy[Td15 | None]) -> st.SearchStrategy[TdReport]:
    sizes = {"tee_tcb_svn": 16, "seam_attributes": 8, "td_attributes": 8, "xfam": 8, "report_data": 64}
    names = [name for name in TdReport.__slots__ if name != "td15"]
    return st.builds(TdReport, **{name: octets(sizes.get(name, 48)) for name in names}, td15=td15)


chains = st.builds(PckChain, pck=st.binary(max_size=99), ca=st.binary(max_size=99), root=st.binary(max_size=99))
certifications = st.builds(
    Certification, qe_report=octets(384), signature=octets(64), authentication=st.binary(max_size=64), chain=chains
)
extendeds = st.builds(
    Td15Extended,
    vmid=octets(1),
    td_id=octets(32),
    dev_info=octets(48),
    init_service_td_hash=octets(48),
    init_service_td_attributes=octets(8),
    init_cpu_svn=octets(16),
    init_tee_tcb_svn=octets(16),
    init_tee_fmspc=octets(12),
    cur_service_td_hash=octets(48),
    cur_service_td_attributes=octets(8),
)
td15s = st.builds(Td15, tee_tcb_svn2=octets(16), mrservicetd=octets(48), extended=st.none() | extendeds)


def quotes(version: int, report: st.SearchStrategy[TdReport]) -> st.SearchStrategy[TdxQuote]:
    svns = st.integers(0, 0xFFFF)
    return st.builds(
        TdxQuote,
        version=st.just(version),
        qe_svn=svns,
        pce_svn=svns,
        user_data=octets(20),
        report=report,
        signature=octets(64),
        attestation_key=octets(64),
        certification=certifications,
    )


any_quote = quotes(4, reports(st.none())) | quotes(5, reports(st.none() | td15s))


@given(any_quote)
def test_every_quote_reads_as_it_was_written(quote: TdxQuote):
    assert TdxQuote.parse(quote.to_bytes()) == quote


@given(any_quote, st.integers(0, 4096))
def test_every_padded_quote_is_trimmed_to_itself(quote: TdxQuote, padding: int):
    assert trim(quote.to_bytes() + bytes(padding)) == quote.to_bytes()


@pytest.mark.parametrize("parse", [TdxQuote.parse, trim, Certification.parse, PckChain.parse, Collateral.parse])
@given(data=st.binary(max_size=2048))
def test_any_bytes_are_read_or_malformed(parse, data: bytes):
    with contextlib.suppress(MalformedError):
        parse(data)


@given(st.lists(st.tuples(st.integers(0, len(REAL) - 1), st.integers(0, 255)), max_size=8), st.integers(0, len(REAL)))
def test_a_damaged_quote_has_one_spelling_or_is_malformed(changes: list[tuple[int, int]], size: int):
    damaged = bytearray(REAL)
    for at, value in changes:
        damaged[at] = value
    for data in (bytes(damaged), bytes(damaged[:size])):
        try:
            quote = TdxQuote.parse(data)
        except MalformedError:
            continue
        assert quote.to_bytes() == data


def accepted_flips(quote: bytes, collateral: bytes, root: str, at: datetime) -> list[int]:
    """Return the bytes of ``quote`` in which a flipped bit goes unnoticed.

    Asked of all but the certificates' text, and of every eleventh byte of that. The bit differs from byte to byte.
    """
    verifier, accepted = DcapVerifier(), []
    assert verifier.verify(evidence(quote, collateral), development_roots={root}, at=at)
    certificates = quote.index(b"-----BEGIN")
    for index in [*range(certificates), *range(certificates, len(quote), 11), len(quote) - 1]:
        flipped = bytearray(quote)
        flipped[index] ^= 1 << (index % 8)
        with contextlib.suppress(MalformedError, SignatureError):
            verifier.verify(evidence(bytes(flipped), collateral), development_roots={root}, at=at)
            accepted.append(index)
    return accepted


# No byte is exempt: of a quote's parts only the certificates' text is unsigned, and that has one spelling.


def test_a_flipped_bit_anywhere_in_a_simulated_quote_is_refused():
    vendor = Vendor.create()
    assert accepted_flips(vendor.guest().quote, vendor.collateral, vendor.root_sha256, AT) == []


def test_a_flipped_bit_anywhere_in_a_real_quote_is_refused():
    assert accepted_flips(REAL, REAL_COLLATERAL, INTEL_ROOT_SHA256, REAL_AT) == []
