"""The verifier of TDX quotes: what it claims, and which reaction each refusal asks for."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import MalformedError, MissingError, SignatureError
from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
from airflow_provider_atlas.tee.evidence import EVENT_LOG, Endorsements
from airflow_provider_atlas.tee.pem import to_pem
from airflow_provider_atlas.tee.tdx.intel import INTEL_ROOT_SHA256
from airflow_provider_atlas.tee.tdx.quote import TdxQuote, trim
from airflow_provider_atlas.tee.tdx.report import Td15
from airflow_provider_atlas.tee.tdx.simulation.boot import BOOT_LOG
from airflow_provider_atlas.tee.tdx.simulation.guest import GUEST
from tests.support.certificates import root
from tests.support.simulated_tdx import AT, REPORT_DATA, Vendor, evidence

VECTORS = Path(__file__).parents[2] / "vectors" / "tee"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def real(quote: str, collateral: str):
    return evidence(
        trim((VECTORS / f"{quote}.quote").read_bytes()), (VECTORS / f"{collateral}.collateral.json").read_bytes()
    )


@pytest.fixture(scope="module")
def vendor() -> Vendor:
    return Vendor.create()


@pytest.mark.parametrize(
    ("quote", "collateral", "at", "status", "advisories"),
    [
        ("tdx_v4_padded", "tdx_v4_padded", "2025-06-19T10:32:28", "UpToDate", []),
        ("tdx_v5", "tdx_v5", "2026-02-18T10:58:52", "UpToDate", []),
        ("tdx_v5_extended", "tdx_v5_extended", "2026-10-08T00:30:00", "UpToDate", []),
        (
            "tdx_v4_out_of_date",
            "tdx_v4_out_of_date",
            "2025-02-13T09:00:00",
            "OutOfDate",
            ["INTEL-SA-00960", "INTEL-SA-00982", "INTEL-SA-00986"],
        ),
    ],
)
def test_a_real_quote_is_genuine_in_its_time(quote: str, collateral: str, at: str, status: str, advisories: list[str]):
    shown = real(quote, collateral)
    claims = DcapVerifier().verify(shown, development_roots=(), at=moment(at))
    assert (claims.tcb_status, list(claims.advisory_ids)) == (status, advisories)
    assert (claims.root_sha256, claims.development, claims.debug) == (INTEL_ROOT_SHA256, False, False)
    assert claims.measurements == TdxQuote.parse(shown.quote).report.measurements()


def booted(*logs: bytes):
    """Evidence of Google's image, with event logs; the collateral is that of another machine of the same kind."""
    shown = real("cos_113", "tdx_v4_out_of_date")
    return replace(
        shown, endorsements=(*shown.endorsements, *(Endorsements(media_type=EVENT_LOG, content=log) for log in logs))
    )


def test_an_event_log_is_believed_as_far_as_the_quote_bears_it_out():
    real_log = (VECTORS / "cos_113.ccel").read_bytes()
    at = moment("2025-02-13T09:00:00")
    facts = DcapVerifier().verify(booted(real_log), development_roots=(), at=at).facts
    assert (facts["event_log"], facts["event_log_events"]) == ("replayed", 43)
    other = BOOT_LOG.to_bytes()
    assert DcapVerifier().verify(booted(other), development_roots=(), at=at).facts["event_log"] == "differs"
    assert "event_log" not in DcapVerifier().verify(booted(), development_roots=(), at=at).facts


@pytest.mark.parametrize("logs", [[b""], [b"\xff" * 64], [BOOT_LOG.to_bytes()] * 2], ids=["empty", "none", "two"])
def test_what_is_not_one_event_log_is_refused(logs: list[bytes]):
    with pytest.raises(MalformedError, match="event log"):
        DcapVerifier().verify(booted(*logs), development_roots=(), at=moment("2025-02-13T09:00:00"))


@pytest.mark.parametrize("at", ["2026-02-17T00:00:00", "2026-03-21T00:00:00"])
def test_a_real_quote_is_not_genuine_outside_its_collaterals_time(at: str):
    with pytest.raises(SignatureError):
        DcapVerifier().verify(real("tdx_v5", "tdx_v5"), development_roots=(), at=moment(at))


def test_a_real_platform_below_every_tcb_level_is_refused():
    with pytest.raises(SignatureError, match="No matching TCB level found"):
        DcapVerifier().verify(
            real("tdx_v5_no_tcb_level", "tdx_v5"), development_roots=(), at=moment("2026-02-18T10:58:52")
        )


def test_collateral_of_another_platform_is_refused():
    with pytest.raises(SignatureError):
        DcapVerifier().verify(
            real("tdx_v4_padded", "tdx_v4_out_of_date"), development_roots=(), at=moment("2025-02-13T09:00:00")
        )


def test_the_simulators_claims_say_development(vendor: Vendor):
    claims = vendor.verify(vendor.guest())
    assert claims.development
    assert claims.root_sha256 == vendor.root_sha256 == hashlib.sha256(vendor.authority.root.der).hexdigest()


def test_the_claims_are_what_the_quote_commits_to_and_measures(vendor: Vendor):
    claims = vendor.verify(vendor.guest())
    assert claims.report_data == REPORT_DATA
    assert claims.measurements == GUEST.measurements()
    assert set(claims.measurements) == {
        "mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3", "mrconfigid", "mrowner", "mrownerconfig", "mrseam",
    }  # fmt: skip
    assert (claims.tee, claims.tcb_status, claims.advisory_ids, claims.debug) == ("tdx", "UpToDate", [], False)


def test_the_details_tell_the_platform_by_hash_alone(vendor: Vendor):
    claims = vendor.verify(vendor.guest())
    assert claims.facts["fmspc"] == "a71a50000000"
    assert claims.facts["td_attributes"] == "0000001000000000"
    assert claims.facts["tcb_evaluation_data_number"] == 1
    assert "ppid" not in claims.facts
    assert len(str(claims.facts["ppid_sha256"])) == 64


def test_an_old_platform_is_told_by_its_tcb_status():
    old = Vendor.create(cpu_svn=(2,) * 16)
    claims = old.verify(old.guest())
    assert (claims.tcb_status, claims.advisory_ids) == ("OutOfDate", ["SIMULATED-SA-00001"])


def test_a_quote_of_version_5_and_tdx_1_5_is_genuine_too(vendor: Vendor):
    td15 = Td15(tee_tcb_svn2=GUEST.tee_tcb_svn, mrservicetd=bytes(48))
    newer = replace(vendor.platform, pattern=replace(vendor.platform.pattern, version=5))
    quote = newer.quote(replace(GUEST, report_data=REPORT_DATA, td15=td15))
    assert vendor.verify(vendor.evidence(quote.to_bytes())).facts["quote_version"] == 5


def test_an_extended_report_names_its_guest():
    shown = real("tdx_v5_extended", "tdx_v5_extended")
    claims = DcapVerifier().verify(shown, development_roots=(), at=moment("2026-10-08T00:30:00"))
    assert str(claims.facts["td_id"]).startswith("e1f3ee829cb6f039")
    assert claims.facts["vmid"] == 0


def test_a_root_is_accepted_by_its_digest_and_no_other(vendor: Vendor):
    with pytest.raises(SignatureError, match=f"not {vendor.root_sha256}"):
        DcapVerifier().verify(vendor.guest(), development_roots={"00" * 32}, at=AT)


def test_evidence_without_collateral_cannot_be_judged(vendor: Vendor):
    with pytest.raises(MissingError, match="DCAP collateral"):
        vendor.verify(replace(vendor.guest(), endorsements=()))


def test_endorsements_of_another_kind_are_no_collateral(vendor: Vendor):
    other = Endorsements(media_type="application/x-amd", content=vendor.collateral)
    with pytest.raises(MissingError, match="DCAP collateral"):
        vendor.verify(replace(vendor.guest(), endorsements=[other]))


def test_two_collaterals_leave_open_which_is_meant(vendor: Vendor):
    with pytest.raises(MalformedError, match="one DCAP collateral"):
        vendor.verify(evidence(vendor.guest().quote, vendor.collateral, vendor.collateral))


@pytest.mark.parametrize(("name", "value"), [("tee", "sev_snp"), ("media_type", "application/octet-stream")])
def test_evidence_of_another_kind_is_refused(vendor: Vendor, name: str, value: str):
    with pytest.raises(MalformedError, match="raw TDX quote"):
        vendor.verify(replace(vendor.guest(), **{name: value}))


@pytest.mark.parametrize(
    ("name", "value"), [("pck_crl", "zz"), ("tcb_info_signature", "é"), ("tcb_info_issuer_chain", "none")]
)
def test_collateral_that_cannot_be_read_is_malformed(vendor: Vendor, name: str, value: str):
    with pytest.raises(MalformedError):
        vendor.verify(evidence(vendor.guest().quote, vendor.collateral_with(**{name: value})))


def test_a_signer_that_is_no_certificate_is_malformed(vendor: Vendor):
    chain = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
    with pytest.raises(MalformedError, match=r"X\.509 certificate"):
        vendor.verify(evidence(vendor.guest().quote, vendor.collateral_with(tcb_info_issuer_chain=chain)))


def test_a_signer_whose_name_cannot_be_read_is_malformed(vendor: Vendor):
    named = root("\0 name").chain[0]
    bits = named.replace(b"\x0c\x06\0 name", b"\x03\x06\0 name")  # the same octets, as a bit string
    assert bits != named
    with pytest.raises(MalformedError, match=r"X\.509 certificate"):
        vendor.verify(
            evidence(vendor.guest().quote, vendor.collateral_with(tcb_info_issuer_chain=to_pem(bits).decode()))
        )


@pytest.mark.parametrize("at", [datetime(1960, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)])
def test_an_absurd_time_is_refused_and_not_a_crash(vendor: Vendor, at: datetime):
    with pytest.raises(SignatureError):
        vendor.verify(vendor.guest(), at=at)
