"""What the kernel gave, as evidence: labelled by its root, trimmed, and of what was asked."""

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.evidence import ARM_CCA, TDX_QUOTE
from airflow_provider_atlas.tee.tdx.quote import TdxQuote
from airflow_provider_atlas.tee.tsm import TsmReport, evidence_of
from tests.support.simulated_tdx import REPORT_DATA, Vendor

VECTORS = Path(__file__).parents[2] / "vectors" / "tee"
REAL = (VECTORS / "cos_113.quote").read_bytes()
ASKED = TdxQuote.parse(REAL).report.report_data


def test_a_quote_under_intels_root_is_of_the_kernel():
    shown = evidence_of(TsmReport(provider="tdx_guest", outblob=REAL), ASKED)
    assert (shown.tee, shown.provider, shown.media_type, shown.quote) == ("tdx", "tsm", TDX_QUOTE, REAL)
    assert shown.endorsements == ()


def test_a_quote_under_any_other_root_is_simulated_whatever_the_path_and_the_driver_say():
    simulated = Vendor.create().guest().quote
    assert evidence_of(TsmReport(provider="tdx_guest", outblob=simulated), REPORT_DATA).provider == "simulated"


def test_a_buffer_of_a_fixed_size_is_trimmed():
    padded = TsmReport(provider="tdx_guest", outblob=REAL.ljust(8000, b"\0"))
    assert evidence_of(padded, ASKED).quote == REAL


@pytest.mark.parametrize("outblob", [b"", bytes(4096), REAL[:-1], REAL + b"\1"], ids=len)
def test_what_is_no_quote_is_refused(outblob: bytes):
    with pytest.raises(MalformedError):
        evidence_of(TsmReport(provider="tdx_guest", outblob=outblob), ASKED)


def test_a_quote_on_something_else_is_refused():
    with pytest.raises(MalformedError, match="commits to something else"):
        evidence_of(TsmReport(provider="tdx_guest", outblob=REAL), b"1" * 64)


def test_a_token_of_arm_is_passed_on_unread():
    shown = evidence_of(TsmReport(provider="arm_cca_guest", outblob=b"token"), bytes(64))
    assert (shown.tee, shown.provider, shown.media_type, shown.quote) == ("arm-cca", "tsm", ARM_CCA, b"token")


@pytest.mark.parametrize("provider", ["", "tdx", "other_guest"])
def test_an_unknown_driver_is_refused(provider: str):
    with pytest.raises(MalformedError, match="expected a report of arm_cca_guest"):
        evidence_of(replace(TsmReport(provider="tdx_guest", outblob=REAL), provider=provider), ASKED)
