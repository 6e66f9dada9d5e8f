"""A worker that lies about when: with a policy that asks for time-stamps, question 6 refuses each lie."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from airflow_provider_atlas.artifacts.archive import record_path
from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.intoto.link import Link
from tests.support.attested_run import DAG_ID, AttestedRun, outcome_of
from tests.support.time_stamping import Authority

HOUR = timedelta(hours=1)


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def run(tmp_path: Path, authority: Authority) -> AttestedRun:
    return AttestedRun(tmp_path).stamped_by(authority)


def asking(run: AttestedRun, authority: Authority, *, link: str = "required") -> bytes:
    document = yaml.safe_load(run.policy_document())
    ours = {"name": "ours", "certificates": authority.pem.decode()}
    document["timestamps"] = {"link": link, "within": 3600, "authorities": [ours]}
    return yaml.safe_dump(document).encode()


def said(run: AttestedRun, policy: bytes) -> str:
    """What is said against the run: by question 6, and by none that does not wait for its answer."""
    report = run.verify(policy)
    failed = [check for check in report.checks if check.status == "failed"]
    assert {check.number for check in failed} == {6}
    return "; ".join(check.detail for check in failed)


def restamped(run: AttestedRun, step: str, timestamp: bytes | None) -> None:
    """Exchange what the archive has of ``step`` for the same with another time-stamp."""
    _, bundle = run.records[step]
    path = run.folder.joinpath("archive", *record_path(DAG_ID, run.run_id, step, "1.bundle.json"))
    changed = replace(bundle, timestamps={} if timestamp is None else {"link": timestamp})
    path.write_bytes(changed.to_bytes())


def test_a_run_that_was_stamped_in_time_passes(run: AttestedRun, authority: Authority) -> None:
    run.complete()
    assert all(bundle.timestamps.keys() == {"link"} for _, bundle in run.records.values())
    for policy in (asking(run, authority), asking(run, authority, link="optional"), run.policy_document()):
        assert outcome_of(run.verify(policy)) == {}


def test_a_record_without_a_time_stamp_fails_where_one_is_required(run: AttestedRun, authority: Authority) -> None:
    run.complete()
    restamped(run, "ingest", None)
    assert "the record has none" in said(run, asking(run, authority))
    assert outcome_of(run.verify(asking(run, authority, link="optional"))) == {}


@pytest.mark.parametrize("link", ["required", "optional"])
def test_a_time_stamp_of_an_authority_that_the_policy_does_not_name_is_none(
    run: AttestedRun, authority: Authority, link: str
) -> None:
    run.complete()
    _, bundle = run.records["ingest"]
    restamped(run, "ingest", Authority().stamp(bundle.envelopes["link"].signature))
    assert "expected a time-stamp of the signature by ours" in said(run, asking(run, authority, link=link))


def test_a_time_stamp_of_another_record_is_refused(run: AttestedRun, authority: Authority) -> None:
    run.complete()
    restamped(run, "ingest", run.records["publish"][1].timestamps["link"])
    assert "expected a time-stamp of the signature by ours" in said(run, asking(run, authority))


def test_bytes_that_are_no_time_stamp_are_refused(run: AttestedRun, authority: Authority) -> None:
    run.complete()
    restamped(run, "ingest", b"when I say so")
    assert "expected a time-stamp (TimeStampResp" in said(run, asking(run, authority))


@pytest.mark.parametrize("by", [-2 * HOUR, -HOUR - timedelta(seconds=2), timedelta(seconds=63), HOUR], ids=str)
def test_a_link_that_lies_about_when_its_task_ended_is_refused(
    run: AttestedRun, authority: Authority, by: timedelta
) -> None:
    def lie(link: Link) -> Link:
        environment = link.environment
        return replace(
            link, environment=replace(environment, started=environment.started + by, finished=environment.finished + by)
        )

    run.write("raw.csv", b"1,2,3\n")
    run.record("ingest", ["raw.csv"], {"table": b"table"}, lie=lie)
    assert "soon after the end of the task" in said(run, asking(run, authority))


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)], ids=str)
def test_a_link_from_the_edge_of_time_is_refused(run: AttestedRun, authority: Authority, moment: datetime) -> None:
    def lie(link: Link) -> Link:
        return replace(link, environment=replace(link.environment, started=moment, finished=moment))

    run.write("raw.csv", b"1,2,3\n")
    run.record("ingest", ["raw.csv"], {"table": b"table"}, lie=lie)
    assert "soon after the end of the task" in said(run, asking(run, authority))


@pytest.mark.parametrize("by", [-HOUR + timedelta(seconds=2), timedelta(seconds=58)], ids=str)
def test_clocks_may_differ_as_much_as_is_said(run: AttestedRun, authority: Authority, by: timedelta) -> None:
    run.write("raw.csv", b"1,2,3\n")
    authority.clock = lambda: run.clock - by
    run.record("ingest", ["raw.csv"], {"table": b"table"})
    assert outcome_of(run.verify(asking(run, authority))).keys() <= {"manifest", "completeness", "lineage", "outcome"}


def test_a_bundle_keeps_its_time_stamp_byte_for_byte(run: AttestedRun) -> None:
    bundle = run.complete().records["ingest"][1]
    parsed = AttestationBundle.parse(bundle.to_bytes())
    assert parsed.timestamps == bundle.timestamps
