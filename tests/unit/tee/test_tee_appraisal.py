"""Claims against reference values: what is not listed fails, and each failure has its reason code."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_atlas.errors import AppraisalError, MalformedError
from airflow_provider_atlas.tee.appraisal import Appraisal, appraise
from airflow_provider_atlas.tee.demands import Moment
from airflow_provider_atlas.tee.evidence import Claims, Fact
from airflow_provider_atlas.tee.policy_fields import FIELDS
from airflow_provider_atlas.tee.reference import ReferenceValues

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
SECOND = int(NOON.timestamp())
MOMENT = Moment(at=NOON, now=NOON)
ROOT = "cc" * 32
GENUINE = Claims(
    tee="tdx",
    report_data=bytes(64),
    measurements={"mrtd": "aa" * 48, "rtmr0": "bb" * 48, "rtmr1": "bb" * 48, "rtmr2": "bb" * 48},
    tcb_status="UpToDate",
    advisory_ids=(),
    debug=False,
    root_sha256=ROOT,
    development=False,
    facts={"migratable": False},
)
SNP = replace(
    GENUINE,
    tee="sev-snp",
    tcb_status=None,
    measurements={"measurement": "aa" * 48, "author_key_digest": "dd" * 48},
    facts={"product": "Genoa", "crl": "checked"},
)
REFERENCE = ReferenceValues(tee="tdx", measurements={"mrtd": {"aa" * 48, "dd" * 48}})
ANY_SNP = ReferenceValues(tee="sev-snp", measurements={"measurement": {"aa" * 48}})


def judged(claims: Claims, reference: ReferenceValues, moment: Moment = MOMENT) -> Appraisal:
    return appraise(claims, [reference], moment)


def codes(appraisal: Appraisal) -> list[str]:
    return [judgement.code for judgement in appraisal.judgements if not judgement.passed]


def demanding(tee: str, name: str, value: object) -> ReferenceValues:
    """Any guest of ``tee``, of which the policy's field ``name`` demands ``value``."""
    field = FIELDS[tee].fields[name]
    demands = {(name, fact): demand for fact, demand in field.kind.demands(field.fact, value).items()}
    return ReferenceValues(tee=tee, signature_only=True, demands=demands)


def telling(tee: str, **facts: Fact) -> Claims:
    pinned = {"ak_sha256": "ab" * 32} if tee == "tpm" else {}
    given = {name.replace("__", "."): fact for name, fact in facts.items()}
    return replace(GENUINE, tee=tee, tcb_status=None, facts={**pinned, **given})


def test_claims_that_match_are_accepted():
    appraisal = judged(GENUINE, REFERENCE)
    appraisal.check()
    assert appraisal.accepted


def test_registers_that_are_not_listed_are_not_looked_at():
    judged(replace(GENUINE, measurements={"mrtd": "aa" * 48, "rtmr0": "00" * 48}), REFERENCE).check()


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"tee": "sev-snp"}, "tee-not-listed", "expected a TEE of tdx, not sev-snp"),
        ({"development": True}, "root-development", "not the development root " + ROOT),
        ({"debug": True}, "debug-set", "cannot debug"),
        ({"facts": {"migratable": True}}, "migratable-set", "cannot migrate"),
        ({"tcb_status": "OutOfDate"}, "tcb-status-not-listed", "expected a TCB status of UpToDate, not OutOfDate"),
        ({"tcb_status": "Revoked"}, "tcb-status-not-listed", "not Revoked"),
        ({"measurements": {"mrtd": "bb" * 48}}, "mrtd-not-listed", "expected mrtd to be one of 2 reference values"),
        ({"measurements": {"rtmr0": "aa" * 48}}, "mrtd-absent", "expected the evidence to measure mrtd"),
        ({"measurements": {}}, "mrtd-absent", "expected the evidence to measure mrtd"),
    ],
)
def test_claims_that_do_not_match_are_refused(change: dict[str, object], code: str, message: str):
    appraisal = judged(replace(GENUINE, **change), REFERENCE)
    assert codes(appraisal) == [code]
    assert appraisal.assurance == "none"
    with pytest.raises(AppraisalError, match=message) as refused:
        appraisal.check()
    assert refused.value.code == code


def test_everything_that_is_wrong_is_told_at_once():
    appraisal = judged(replace(GENUINE, debug=True, tcb_status="OutOfDate", measurements={}), REFERENCE)
    assert codes(appraisal) == ["debug-set", "tcb-status-not-listed", "mrtd-absent"]


def test_every_listed_register_counts():
    reference = replace(REFERENCE, measurements={"mrtd": {"aa" * 48}, "rtmr0": {"00" * 48}})
    assert codes(judged(GENUINE, reference)) == ["rtmr0-not-listed"]


def test_a_register_without_accepted_values_accepts_none():
    assert codes(judged(GENUINE, replace(REFERENCE, measurements={"mrtd": ()}))) == ["mrtd-not-listed"]


def test_no_reference_values_is_no_consent():
    assert codes(judged(GENUINE, ReferenceValues(tee="tdx"))) == ["measurements-absent"]


def test_no_references_at_all_are_no_consent():
    appraisal = appraise(GENUINE, [], MOMENT)
    assert (codes(appraisal), appraisal.accepted, appraisal.assurance) == (["reference-absent"], False, "none")
    with pytest.raises(AppraisalError, match="reference values"):
        appraisal.check()


def test_any_guest_will_do_when_the_policy_says_so_and_it_goes_no_further_than_low():
    appraisal = judged(GENUINE, ReferenceValues(tee="tdx", signature_only=True))
    assert (appraisal.accepted, appraisal.assurance) == (True, "low")
    assert appraisal.limits[0].code == "signature-only"


def test_signature_only_does_not_excuse_a_listed_register():
    reference = replace(REFERENCE, measurements={"mrtd": {"00" * 48}}, signature_only=True)
    assert codes(judged(GENUINE, reference)) == ["mrtd-not-listed"]


def test_signature_only_excuses_nothing_else():
    out = replace(GENUINE, tcb_status="OutOfDate")
    assert codes(judged(out, ReferenceValues(tee="tdx", signature_only=True))) == ["tcb-status-not-listed"]


def test_a_denied_advisory_is_refused_though_the_status_is_accepted():
    open_one = replace(GENUINE, advisory_ids=("INTEL-SA-00001", "INTEL-SA-00960"))
    judged(open_one, REFERENCE).check()
    denied = judged(open_one, replace(REFERENCE, denied_advisories={"INTEL-SA-00960"}))
    assert codes(denied) == ["advisories-denied"]
    with pytest.raises(AppraisalError, match="no open advisory of INTEL-SA-00960"):
        denied.check()


def test_where_advisories_are_listed_no_other_may_be_open():
    open_two = replace(GENUINE, advisory_ids=("INTEL-SA-00001", "INTEL-SA-00960"))
    judged(open_two, replace(REFERENCE, allowed_advisories={"INTEL-SA-00001", "INTEL-SA-00960"})).check()
    assert codes(judged(open_two, replace(REFERENCE, allowed_advisories={"INTEL-SA-00001"}))) == [
        "advisories-not-listed"
    ]
    assert codes(judged(open_two, replace(REFERENCE, allowed_advisories=()))) == ["advisories-not-listed"]


def test_a_root_that_the_policy_does_not_list_is_refused():
    judged(GENUINE, replace(REFERENCE, roots={ROOT})).check()
    assert codes(judged(GENUINE, replace(REFERENCE, roots={"dd" * 32}))) == ["root-not-listed"]


def test_a_development_root_is_accepted_when_the_policy_names_it_and_is_still_called_so():
    simulated = replace(GENUINE, development=True)
    assert judged(simulated, replace(REFERENCE, development_roots={ROOT})).assurance == "development"
    assert codes(judged(simulated, replace(REFERENCE, development_roots={"dd" * 32}))) == ["root-development"]
    assert codes(judged(simulated, replace(REFERENCE, roots={ROOT}))) == ["root-development"]


def test_the_reference_under_which_claims_go_furthest_counts():
    pinned = replace(REFERENCE, measurements={name: {value} for name, value in GENUINE.measurements.items()})
    low = ReferenceValues(tee="tdx", signature_only=True)
    for references in ([low, pinned], [pinned, low], [ANY_SNP, low, pinned]):
        assert appraise(GENUINE, references, MOMENT).assurance == "standard"


@pytest.mark.parametrize(
    ("tee", "values"),
    [
        ("tdx", {"mrtd": {"AA" * 48}}), ("tdx", {"mrtd": {"0xaa"}}), ("tdx", {"mrtd": {"aa" * 32}}),
        ("tdx", {"measurement": {"aa" * 48}}), ("sgx", {}), ("tpm", {"pcr24": {"aa" * 32}}),
    ],
)  # fmt: skip
def test_a_value_that_could_never_match_is_refused_at_once(tee: str, values: dict[str, set[str]]):
    with pytest.raises(MalformedError):
        ReferenceValues(tee=tee, measurements=values)


# Of each field: its TEE, what the policy demands, a fact that is so, and one that is not, with its reason code.
FIELD_CASES = [
    ("tdx", "mrsignerseam", ["00" * 48], "00" * 48, "11" * 48, "mrsignerseam-not-listed"),
    ("tdx", "td_attributes", {"set": ["sept_ve_disable"]}, "0000001000000000", "00" * 8, "td_attributes-bits"),
    ("tdx", "td_attributes", {"clear": ["perfmon"]}, "0000001000000000", "0000001000000080", "td_attributes-bits"),
    ("tdx", "td_attributes", {"only": [28]}, "0000001000000000", "0000005000000000", "td_attributes-bits"),
    ("tdx", "xfam", {"only": [0, 1, 2]}, "0700000000000000", "e702060000000000", "xfam-bits"),
    ("tdx", "min_tcb_evaluation_data_number", 17, 17, 16, "tcb_evaluation_data_number-too-low"),
    ("tdx", "min_tee_tcb_svn", "0502" + "00" * 14, "0503" + "00" * 14, "0601" + "00" * 14, "tee_tcb_svn-too-low"),
    ("tdx", "fmspc", ["b0c06f000000"], "b0c06f000000", "90c06f000000", "fmspc-not-listed"),
    ("tdx", "ppid_sha256", ["aa" * 32], "aa" * 32, "bb" * 32, "ppid_sha256-not-listed"),
    ("tdx", "platform_instance_id_sha256", ["aa" * 32], "aa" * 32, "bb" * 32, "platform_instance_id_sha256-not-listed"),
    ("tdx", "smt", False, False, True, "smt-differs"),
    ("tdx", "dynamic_platform", True, True, False, "dynamic_platform-differs"),
    ("tdx", "cached_keys", False, False, True, "cached_keys-differs"),
    ("tdx", "event_log", "required", "replayed", "differs", "event_log-not-listed"),
    ("tdx", "max_collateral_age", 3600, SECOND - 3600, SECOND - 3601, "collateral_issued-too-old"),
    ("sev-snp", "product", ["Genoa", "Turin"], "Turin", "Milan", "product-not-listed"),
    ("sev-snp", "signing_key", ["VCEK"], "VCEK", "VLEK", "signing_key-not-listed"),
    ("sev-snp", "guest_policy", {"clear": ["smt"], "set": ["single_socket"]}, 0x120000, 0x130000, "policy-bits"),
    ("sev-snp", "platform_info", {"set": ["alias_check_complete"]}, 0x21, 0x01, "platform_info-bits"),
    ("sev-snp", "vmpl", [0, 1], 1, 2, "vmpl-not-listed"),
    ("sev-snp", "author_key_en", True, True, False, "author_key_en-differs"),
    ("sev-snp", "chip_id_sha256", ["aa" * 32], "aa" * 32, "bb" * 32, "chip_id_sha256-not-listed"),
    ("sev-snp", "csp_id", ["CN=cc-us-east-2"], "CN=cc-us-east-2", "CN=evil", "csp_id-not-listed"),
    ("sev-snp", "min_guest_svn", 2, 2, 1, "guest_svn-too-low"),
    ("sev-snp", "launch_mitigations", {"set": [3]}, 8, 7, "launch_mit_vector-bits"),
    ("sev-snp", "current_mitigations", {"set": [3]}, 8, 7, "current_mit_vector-bits"),
    ("sev-snp", "crl", "required", "checked", "absent", "crl-not-listed"),
    ("sev-snp", "max_crl_age", 60, SECOND - 60, SECOND - 61, "crl_issued-too-old"),
    ("azure-snp", "ak_sha256", ["aa" * 32], "aa" * 32, "bb" * 32, "ak_sha256-not-listed"),
    ("tpm", "ak_sha256", ["aa" * 32], "aa" * 32, "bb" * 32, "ak_sha256-not-listed"),
    ("tpm", "ak_root_sha256", ["aa" * 32], "aa" * 32, "bb" * 32, "ak_root_sha256-not-listed"),
    ("nitro", "module_id", ["i-1-enc2"], "i-1-enc2", "i-2-enc2", "module_id-not-listed"),
    ("nvidia", "driver_version", ["550.90"], "550.90", "535.0", "driver_version-not-listed"),
    ("nvidia", "vbios_version", ["96.00"], "96.00", "95.00", "vbios_version-not-listed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("tee", "name", "value", "good", "bad", "code"), FIELD_CASES, ids=[f"{case[0]}-{case[1]}" for case in FIELD_CASES]
)
def test_a_field_accepts_what_it_demands_and_nothing_else(tee, name, value, good, bad, code):
    fact, reference = FIELDS[tee].fields[name].fact, demanding(tee, name, value)
    assert codes(judged(telling(tee, **{fact: good}), reference)) == []
    assert codes(judged(telling(tee, **{fact: bad}), reference)) == [code]


@pytest.mark.parametrize(
    ("tee", "name", "value"), [case[:3] for case in FIELD_CASES], ids=[f"{case[0]}-{case[1]}" for case in FIELD_CASES]
)
def test_a_fact_that_the_evidence_does_not_carry_fails(tee, name, value):
    fact = FIELDS[tee].fields[name].fact
    claims = replace(GENUINE, tee=tee, tcb_status=None, facts={})
    assert codes(judged(claims, demanding(tee, name, value))) == [f"{fact}-absent"]


@pytest.mark.parametrize(
    ("tee", "name", "value"), [case[:3] for case in FIELD_CASES], ids=[f"{case[0]}-{case[1]}" for case in FIELD_CASES]
)
def test_a_fact_of_another_type_fails(tee, name, value):
    fact = FIELDS[tee].fields[name].fact
    for other in ("é", "", "zz", "a" * 999):
        assert codes(judged(telling(tee, **{fact: other}), demanding(tee, name, value))) != []


@pytest.mark.parametrize("which", ["reported", "committed", "current", "launch"])
def test_each_component_of_a_tcb_has_a_floor_of_its_own(which):
    reference = demanding("sev-snp", f"min_{which}_tcb", {"snp": 20, "ucode": 72})
    facts = {f"{which}_tcb.bl": 0, f"{which}_tcb.snp": 20, f"{which}_tcb.ucode": 72}
    assert codes(judged(telling("sev-snp", **facts), reference)) == []
    assert codes(judged(telling("sev-snp", **{**facts, f"{which}_tcb.snp": 19}), reference)) == [
        f"{which}_tcb.snp-too-low"
    ]
    assert codes(judged(telling("sev-snp"), reference)) == [f"{which}_tcb.snp-absent", f"{which}_tcb.ucode-absent"]


def test_a_revocation_list_is_optional_where_the_policy_says_so():
    assert codes(judged(telling("sev-snp", crl="absent"), demanding("sev-snp", "crl", "optional"))) == []


def test_an_authors_key_counts_only_when_it_is_in_use():
    reference = replace(ANY_SNP, measurements={"author_key_digest": {"dd" * 48}})
    assert codes(judged(SNP, reference)) == ["author_key_en-differs"]
    judged(replace(SNP, facts={**SNP.facts, "author_key_en": True}), reference).check()


def test_a_tpm_needs_its_key_listed_since_it_has_no_vendor():
    tpm = replace(GENUINE, tee="tpm", tcb_status=None, measurements={"pcr0": "aa" * 32}, facts={"ak_sha256": "ab" * 32})
    reference = ReferenceValues(tee="tpm", measurements={"pcr0": {"aa" * 32}})
    assert codes(judged(tpm, reference)) == ["ak_sha256-not-pinned"]
    judged(tpm, replace(reference, demands=demanding("tpm", "ak_sha256", ["ab" * 32]).demands)).check()
    judged(replace(tpm, development=True), replace(reference, development_roots={ROOT})).check()


@pytest.mark.parametrize(("old", "code"), [(60, []), (61, ["evidence-too-old"])])
def test_evidence_is_as_old_as_somebody_trustworthy_says(old, code):
    reference = replace(REFERENCE, max_evidence_age=timedelta(seconds=60))
    seen = NOON - timedelta(seconds=old)
    assert codes(judged(GENUINE, reference, Moment(at=seen, now=NOON, attested=seen))) == code
    stamped = replace(GENUINE, facts={"timestamp": SECOND - old})
    assert codes(judged(stamped, reference)) == code


def test_evidence_of_unknown_age_is_too_old_for_a_policy_that_asks():
    assert codes(judged(GENUINE, replace(REFERENCE, max_evidence_age=timedelta(days=9)))) == ["evidence-age-unknown"]


def test_a_level_that_claims_do_not_reach_is_refused_with_what_holds_them_back():
    appraisal = judged(GENUINE, replace(REFERENCE, assurance="standard"))
    assert codes(appraisal) == ["assurance-too-low"]
    with pytest.raises(AppraisalError, match="at least standard, not low: code-not-pinned"):
        appraisal.check()
    judged(GENUINE, replace(REFERENCE, assurance="low")).check()
