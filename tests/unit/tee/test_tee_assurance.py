"""How far accepted claims go: each reason that holds them back, by its code."""

from dataclasses import replace

import pytest

from airflow_provider_atlas.tee.assurance import Pins, level_of, limits_of
from airflow_provider_atlas.tee.evidence import Claims

TDX = Claims(
    tee="tdx",
    report_data=bytes(64),
    measurements={},
    tcb_status="UpToDate",
    advisory_ids=(),
    debug=False,
    root_sha256="cc" * 32,
    development=False,
)
SNP = replace(TDX, tee="sev-snp", tcb_status=None, facts={"product": "Genoa", "crl": "checked"})
ALL_OF_TDX = Pins(measurements={"mrtd", "rtmr0", "rtmr1", "rtmr2"}, fields={"ppid_sha256"})
ALL_OF_SNP = Pins(measurements={"measurement"}, fields={"chip_id_sha256", "min_reported_tcb"})


def reached(claims: Claims, pins: Pins, **now: str | None) -> tuple[str, list[str]]:
    limits = limits_of(claims, pins, **now)
    return level_of(limits), [limit.code for limit in limits]


def test_all_pinned_on_a_listed_machine_with_current_firmware_is_high():
    assert reached(TDX, ALL_OF_TDX) == ("high", [])
    assert reached(SNP, ALL_OF_SNP) == ("high", [])


def test_a_development_root_is_below_all_else():
    assert reached(replace(TDX, development=True), ALL_OF_TDX) == ("development", ["development-root"])
    assert reached(replace(TDX, development=True), Pins(measurements=(), fields=()))[0] == "development"


def test_no_pinned_measurement_is_a_signature_only():
    assert reached(TDX, replace(ALL_OF_TDX, measurements=())) == ("low", ["signature-only"])


@pytest.mark.parametrize("left_out", ["mrtd", "rtmr0", "rtmr1", "rtmr2"])
def test_guest_code_that_nothing_pins_leaves_it_low(left_out):
    pins = replace(ALL_OF_TDX, measurements={"mrtd", "rtmr0", "rtmr1", "rtmr2"} - {left_out})
    assert reached(TDX, pins) == ("low", ["code-not-pinned"])
    assert left_out in limits_of(TDX, pins)[0].detail


def test_unlisted_machines_leave_it_at_standard():
    assert reached(TDX, replace(ALL_OF_TDX, fields={"fmspc"})) == ("standard", ["platform-not-pinned"])


@pytest.mark.parametrize(
    ("status", "level"),
    [
        ("UpToDate", "high"),
        ("SWHardeningNeeded", "standard"),
        ("ConfigurationNeeded", "low"),
        ("ConfigurationAndSWHardeningNeeded", "low"),
        ("OutOfDate", "low"),
        ("TDRelaunchAdvised", "low"),
    ],
)
def test_an_accepted_status_that_is_not_current_is_told_by_the_level(status, level):
    assert reached(replace(TDX, tcb_status=status), ALL_OF_TDX)[0] == level
    assert reached(TDX, ALL_OF_TDX, status_now=status)[0] == level


def test_a_platform_that_is_refused_today_is_low():
    assert reached(TDX, ALL_OF_TDX, status_now="Refused: revoked") == ("low", ["tcb-status-now"])


def test_without_a_vendors_status_the_policy_must_ask_for_a_least_version():
    assert reached(SNP, replace(ALL_OF_SNP, fields={"chip_id_sha256"})) == ("standard", ["tcb-not-pinned"])


def test_a_milan_chip_goes_no_further_than_its_list():
    milan = replace(SNP, facts={"product": "Milan", "crl": "checked"})
    assert reached(milan, ALL_OF_SNP) == ("standard", ["milan"])
    assert reached(milan, replace(ALL_OF_SNP, fields={"csp_id", "min_reported_tcb"})) == ("low", ["milan"])


def test_no_revocation_list_leaves_it_at_standard():
    assert reached(replace(SNP, facts={"product": "Turin", "crl": "absent"}), ALL_OF_SNP) == (
        "standard",
        ["crl-absent"],
    )


@pytest.mark.parametrize(
    ("tee", "pinned", "level", "code"),
    [
        ("tpm", {"pcr0", "pcr4"}, "low", "tpm-alone"),
        ("nvidia", {"measurement1"}, "low", "reference-values-unknown"),
        ("nitro", {"pcr0", "pcr1", "pcr2"}, "standard", "operator-is-vendor"),
        ("azure-snp", {"measurement"}, "low", "code-not-pinned"),
        ("sgx", {"mrenclave"}, "none", "tee-unknown"),
    ],
)
def test_each_kind_of_tee_has_its_limit(tee, pinned, level, code):
    claims = replace(TDX, tee=tee, tcb_status=None)
    found = reached(claims, Pins(measurements=pinned, fields={"ak_sha256", "chip_id_sha256", "min_reported_tcb"}))
    assert found[0] == level
    assert code in found[1]
