"""What the kernel gave, as evidence: labelled by its root, trimmed, and of what was asked."""

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.backends.simulated_snp import SimulatedSnpAttester
from airflow_provider_atlas.tee.evidence import ARM_CCA, PEM_CERTIFICATE_CHAIN, SNP_REPORT, TDX_QUOTE, Evidence
from airflow_provider_atlas.tee.pem import read_pem
from airflow_provider_atlas.tee.sev_snp.certificate_table import CertificateTable
from airflow_provider_atlas.tee.sev_snp.report import SnpReport
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


SNP = (VECTORS / "snp_milan.report").read_bytes()
SNP_CHAIN = read_pem((VECTORS / "snp_milan.pem").read_bytes())
SNP_ASKED = SnpReport.parse(SNP).report_data


def snp(**certificates: bytes) -> Evidence:
    """Return the evidence of a real report with ``certificates`` as its host hands them out."""
    table = CertificateTable(**certificates).to_bytes()
    return evidence_of(TsmReport(provider="sev_guest", outblob=SNP, auxblob=table), SNP_ASKED)


def test_a_report_with_amds_certificates_is_of_the_kernel():
    vcek, ask, ark = SNP_CHAIN
    shown = snp(vcek=vcek, ask=ask, ark=ark)
    assert (shown.tee, shown.provider, shown.media_type, shown.quote) == ("sev-snp", "tsm", SNP_REPORT, SNP)
    assert [one.media_type for one in shown.endorsements] == [PEM_CERTIFICATE_CHAIN]
    assert read_pem(shown.endorsements[0].content) == SNP_CHAIN


def test_a_host_that_hands_out_a_part_of_the_chain_has_that_part_passed_on():
    vcek, ask, _ = SNP_CHAIN
    assert read_pem(snp(vcek=vcek, ask=ask).endorsements[0].content) == (vcek, ask)


def test_a_host_that_hands_out_nothing_leaves_it_to_who_fetches():
    shown = evidence_of(TsmReport(provider="sev_guest", outblob=SNP), SNP_ASKED)
    assert (shown.provider, shown.endorsements) == ("tsm", ())


def test_a_report_under_any_other_root_is_simulated(tmp_path: Path):
    platform = SimulatedSnpAttester(tmp_path)
    report = TsmReport(provider="sev_guest", outblob=platform.report(REPORT_DATA), auxblob=platform.certificate_table)
    assert evidence_of(report, REPORT_DATA).provider == "simulated"


@pytest.mark.parametrize(
    "change", [{"outblob": SNP[:-1]}, {"outblob": SNP + b"\0"}, {"outblob": bytes(1184)}, {"auxblob": b"\1" * 24}]
)
def test_what_is_no_snp_report_or_no_table_is_refused(change: dict[str, bytes]):
    with pytest.raises(MalformedError):
        evidence_of(replace(TsmReport(provider="sev_guest", outblob=SNP), **change), SNP_ASKED)


def test_a_snp_report_on_something_else_is_refused():
    with pytest.raises(MalformedError, match="commits to something else"):
        evidence_of(TsmReport(provider="sev_guest", outblob=SNP), b"1" * 64)


@pytest.mark.parametrize("provider", ["", "tdx", "other_guest"])
def test_an_unknown_driver_is_refused(provider: str):
    with pytest.raises(MalformedError, match="expected a report of arm_cca_guest"):
        evidence_of(replace(TsmReport(provider="tdx_guest", outblob=REAL), provider=provider), ASKED)
