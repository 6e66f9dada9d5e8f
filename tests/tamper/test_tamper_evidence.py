"""A worker, or an operator, that lies about its TEE: the time of its evidence, its guest, its root, its age."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml

from airflow_provider_atlas.artifacts.archive import record_path
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.report import VerificationReport
from airflow_provider_atlas.wiring import archives, runs
from tests.support.attested_run import DAG_ID, NOW, AttestedRun, outcome_of
from tests.support.time_stamping import Authority

LATER = NOW + timedelta(days=20 * 365)  # when no collateral of the run is current any more


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> AttestedRun:
    return AttestedRun(tmp_path_factory.mktemp("run")).stamped_by(authority).complete()


def asking(run: AttestedRun, authority: Authority, change: Callable[[Any], None] = lambda _: None) -> bytes:
    """The run's own policy with time-stamps, and with its ``tee`` changed."""
    document = yaml.safe_load(run.policy_document())
    ours = {"name": "ours", "certificates": authority.pem.decode()}
    document["timestamps"] = {"link": "required", "within": 3600, "authorities": [ours]}
    change(document["tee"])
    return yaml.safe_dump(document).encode()


def failures(report: VerificationReport) -> dict[int, str]:
    return {check.number: check.detail for check in report.checks if check.status == "failed"}


def attested(tee: dict[str, Any]) -> None:
    tee["at"] = "attested"


def test_old_evidence_is_judged_as_of_the_moment_that_an_authority_saw_it(run, authority):
    assert 3 in failures(run.verify(asking(run, authority), at=LATER))
    report = run.verify(asking(run, authority, attested), at=LATER)
    assert 3 not in failures(report)
    assert all(record.tee.moment.at == record.tee.moment.attested < LATER for record in report.records)


def test_without_the_time_stamp_nobody_can_move_evidence_into_the_past(authority, tmp_path):
    copy = AttestedRun(tmp_path).stamped_by(authority).complete()
    _, bundle = copy.records["ingest"]
    path = copy.folder.joinpath("archive", *record_path(DAG_ID, copy.run_id, "ingest", "1.bundle.json"))
    path.write_bytes(replace(bundle, timestamps={}).to_bytes())
    assert "time-stamp" in failures(copy.verify(asking(copy, authority, attested), at=LATER))[3]


def test_a_stranger_cannot_say_when_evidence_was_seen(run):
    said = failures(run.verify(asking(run, Authority(), attested), at=LATER))
    assert "expected a time-stamp of the signature by ours" in said[3]


def test_a_policy_cannot_judge_as_of_a_time_stamp_that_it_does_not_ask_for(run):
    document = yaml.safe_load(run.policy_document())
    attested(document["tee"])
    with pytest.raises(Exception, match="trusts nobody else's clock"):
        Policy.parse(yaml.safe_dump(document).encode())


def test_evidence_that_was_seen_too_long_ago_is_refused(run, authority):
    def old(tee: dict[str, Any]) -> None:
        tee["accept"][0]["max_evidence_age"] = 600

    assert outcome_of(run.verify(asking(run, authority, old), at=NOW + timedelta(minutes=5))) == {}
    assert "old" in failures(run.verify(asking(run, authority, old), at=NOW + timedelta(hours=1)))[5]


def test_stale_collateral_is_refused_where_the_policy_says_how_stale(run, authority):
    def stale(tee: dict[str, Any]) -> None:
        tee["accept"][0]["max_collateral_age"] = 2 * 24 * 3600

    assert outcome_of(run.verify(asking(run, authority, stale), at=NOW + timedelta(minutes=5))) == {}
    assert "collateral_issued" in failures(run.verify(asking(run, authority, stale), at=NOW + timedelta(days=3)))[5]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"roots": ["00" * 32], "development_roots": []}, "expected Intel's root"),
        ({"measurements": {"mrtd": ["00" * 48]}}, "expected mrtd to be one of"),
        ({"fmspc": ["000000000000"]}, "expected fmspc"),
        ({"td_attributes": {"set": ["perfmon"]}}, "bit 63 to be set"),
        ({"ppid_sha256": ["00" * 32]}, "expected ppid_sha256"),
        ({"min_tee_tcb_svn": "ff" * 16}, "tee_tcb_svn"),
        ({"assurance": "low"}, "at least low, not development"),
    ],
)
def test_a_guest_or_platform_that_the_policy_does_not_accept_is_refused(run, authority, change, said):
    def other(tee: dict[str, Any]) -> None:
        tee["accept"][0] |= change

    assert said in "; ".join(failures(run.verify(asking(run, authority, other))).values())


def test_a_quote_of_unknown_age_is_refused_where_the_policy_wants_a_beacon(run, authority):
    def bounded(tee: dict[str, Any]) -> None:
        tee["beacon"] = "required"

    # The first record of a new log has no checkpoint that it could have seen.
    assert "it could be of any age" in failures(run.verify(asking(run, authority, bounded)))[4]


def test_machines_are_named_by_a_salt_of_the_policy(run, authority):
    def named(report: VerificationReport) -> set[str]:
        return {record.tee.identities["ppid_sha256"] for record in report.records}

    def plain(tee: dict[str, Any]) -> None:
        tee["identities"] = "plain"

    def salted(tee: dict[str, Any]) -> None:
        tee["identity_salt"] = "ab" * 32

    ways = [named(run.verify(asking(run, authority, way))) for way in (lambda _: None, plain, salted)]
    assert [len(way) for way in ways] == [1, 1, 1]
    assert len(set.union(*ways)) == 3
    assert named(run.verify(asking(run, authority, salted))) == ways[2]


def test_fresh_collateral_tells_what_the_vendor_says_by_now(run, authority):
    _, bundle = run.records["ingest"]
    fresh = bundle.bound_evidence.evidence.endorsements
    policy = Policy.parse(asking(run, authority, attested))
    for at, said in ((NOW + timedelta(days=1), "UpToDate"), (LATER, "Refused: ")):
        report = runs.verify_run_folder(archives.open_run(str(run.run_folder)), policy, at=at, fresh=fresh)
        assert all(record.tee.tcb_status_now.startswith(said) for record in report.records)
        assert all(record.tee.tcb_status == "UpToDate" for record in report.records)


def test_the_report_names_a_genuine_quote_that_is_not_accepted(run, authority):
    def other(tee: dict[str, Any]) -> None:
        tee["accept"][0]["measurements"] = {"mrtd": ["00" * 48]}

    report = run.verify(asking(run, authority, other))
    assert report.development  # though nothing of it is accepted: what comes of a simulator is always told
    assert {record.tee.assurance for record in report.records} == {"none"}
    assert [one.code for one in report.records[0].tee.judgements] == ["mrtd-not-listed"]
