"""Claims against reference values: what is not listed fails."""

from dataclasses import replace

import pytest

from airflow_provider_atlas.errors import AppraisalError, MalformedError
from airflow_provider_atlas.tee.appraisal import ReferenceValues, appraise, assurance
from airflow_provider_atlas.tee.evidence import Claims

GENUINE = Claims(
    tee="tdx",
    report_data=bytes(64),
    measurements={"mrtd": "aa" * 48, "rtmr0": "bb" * 48},
    tcb_status="UpToDate",
    advisory_ids=(),
    debug=False,
    root_sha256="cc" * 32,
    development=False,
)
REFERENCE = ReferenceValues(tees={"tdx"}, measurements={"mrtd": {"aa" * 48, "dd" * 48}})


def test_claims_that_match_are_accepted():
    appraise(GENUINE, REFERENCE)


def test_registers_that_are_not_listed_are_not_looked_at():
    appraise(replace(GENUINE, measurements={"mrtd": "aa" * 48, "rtmr0": "00" * 48}), REFERENCE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tee": "sev_snp"}, "expected a TEE of tdx, not sev_snp"),
        ({"development": True}, "not the development root " + "cc" * 32),
        ({"debug": True}, "cannot debug"),
        ({"tcb_status": "OutOfDate"}, "expected a TCB status of UpToDate, not OutOfDate"),
        ({"measurements": {"mrtd": "bb" * 48}}, "expected mrtd to be one of 2 reference values, not " + "bb" * 48),
        ({"measurements": {"rtmr0": "aa" * 48}}, "expected the evidence to measure mrtd"),
        ({"measurements": {}}, "expected the evidence to measure mrtd"),
    ],
)
def test_claims_that_do_not_match_are_refused(change: dict[str, object], message: str):
    with pytest.raises(AppraisalError, match=message):
        appraise(replace(GENUINE, **change), REFERENCE)


def test_every_listed_register_counts():
    reference = replace(REFERENCE, measurements={"mrtd": {"aa" * 48}, "rtmr0": {"00" * 48}})
    with pytest.raises(AppraisalError, match="expected rtmr0"):
        appraise(GENUINE, reference)


def test_a_register_without_accepted_values_accepts_none():
    with pytest.raises(AppraisalError, match="one of 0 reference values"):
        appraise(GENUINE, replace(REFERENCE, measurements={"mrtd": ()}))


def test_no_reference_values_is_no_consent():
    with pytest.raises(AppraisalError, match="no reference values"):
        appraise(GENUINE, ReferenceValues(tees={"tdx"}))


def test_no_accepted_tee_is_no_consent():
    with pytest.raises(AppraisalError, match=r"expected a TEE of \(none\)"):
        appraise(GENUINE, replace(REFERENCE, tees=()))


def test_any_guest_will_do_when_the_policy_says_so():
    appraise(GENUINE, ReferenceValues(tees={"tdx"}, signature_only=True))


def test_signature_only_does_not_excuse_a_listed_register():
    with pytest.raises(AppraisalError, match="expected mrtd"):
        appraise(GENUINE, replace(REFERENCE, measurements={"mrtd": {"00" * 48}}, signature_only=True))


def test_signature_only_excuses_nothing_else():
    with pytest.raises(AppraisalError, match="TCB status"):
        appraise(replace(GENUINE, tcb_status="OutOfDate"), ReferenceValues(tees={"tdx"}, signature_only=True))


def test_a_tcb_status_is_accepted_when_listed():
    appraise(replace(GENUINE, tcb_status="OutOfDate"), replace(REFERENCE, tcb_status={"UpToDate", "OutOfDate"}))


def test_a_denied_advisory_is_refused_though_the_status_is_accepted():
    open_one = replace(GENUINE, advisory_ids=("INTEL-SA-00001", "INTEL-SA-00960"))
    appraise(open_one, REFERENCE)
    with pytest.raises(AppraisalError, match="no open advisory of INTEL-SA-00960"):
        appraise(open_one, replace(REFERENCE, denied_advisories={"INTEL-SA-00960"}))


def test_a_development_root_is_accepted_when_the_policy_allows_it_and_is_still_called_so():
    simulated = replace(GENUINE, development=True)
    appraise(simulated, replace(REFERENCE, allow_development=True))
    assert assurance(simulated) == "development"
    assert assurance(GENUINE) == "standard"


@pytest.mark.parametrize("value", ["AA" * 48, "0xaa", "aaa", "zz"])
def test_a_value_that_could_never_match_is_refused_at_once(value: str):
    with pytest.raises(MalformedError):
        ReferenceValues(tees={"tdx"}, measurements={"mrtd": {value}})
