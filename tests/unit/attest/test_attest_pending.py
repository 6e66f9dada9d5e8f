"""A record that cannot be finished is kept as far as it came, and finished from there."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_atlas.artifacts.archive import record_path
from airflow_provider_atlas.attest.pending import Attachments, PendingRecord, UnfinishedError, complete, defer, drain
from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.encoding import parse_json
from airflow_provider_atlas.errors import AttesterError, MalformedError, MissingError, TimestampError
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.wiring import workers
from tests.support.attested_run import DAG_ID, PIPELINE, RUN_ID, AttestedRun
from tests.support.time_stamping import Authority


class NoQuote:
    """A TEE that is there and gives nothing, as a driver does whose last request hangs."""

    def attest(self, report_data: bytes) -> None:  # noqa: ARG002
        raise AttesterError("the TEE gave no quote within 45 s")


class NobodyThere:
    """An authority that cannot be reached."""

    def stamp(self, message: bytes) -> bytes:  # noqa: ARG002
        raise TimestampError("the time-stamp authority is away")


@pytest.fixture
def run(tmp_path: Path) -> AttestedRun:
    return AttestedRun(tmp_path)


@pytest.fixture
def pending(run: AttestedRun) -> PendingRecord:
    """A record that is yet to be vouched for: that of a run elsewhere, taken back to its link."""
    other = AttestedRun(run.folder / "elsewhere")
    bundle = other.record("ingest", outputs={"table": b"table"})
    link = Link.parse(bundle.envelopes["link"].payload)
    return PendingRecord(link=link, attachments=Attachments(pipeline=PIPELINE.to_bytes(), openings=b"{}"))


def test_a_record_survives_the_spool(pending: PendingRecord, run: AttestedRun) -> None:
    assert PendingRecord.parse(pending.to_bytes()) == pending
    vouched = replace(pending, bundle=run.worker.sealer.vouch(pending.link))
    assert PendingRecord.parse(vouched.to_bytes()).to_bytes() == vouched.to_bytes()
    with pytest.raises(MalformedError):
        PendingRecord.parse(vouched.to_bytes()[:-1])


def test_without_a_quote_the_link_is_kept(pending: PendingRecord, run: AttestedRun) -> None:
    sealer = replace(run.worker.sealer, attester=NoQuote())
    with pytest.raises(UnfinishedError, match="no quote") as caught:
        complete(pending, sealer, run.worker.archive)
    assert caught.value.record == pending


def test_without_a_log_the_quote_and_the_signatures_are_kept(pending: PendingRecord, run: AttestedRun) -> None:
    shutil.rmtree(run.folder / "log")
    (run.folder / "log").write_text("no longer a log")
    with pytest.raises(UnfinishedError) as caught:
        complete(pending, run.worker.sealer, run.worker.archive)
    kept = caught.value.record.bundle
    assert kept is not None
    assert set(kept.envelopes) == {"link", "provenance", "tee"}
    assert not kept.receipts


def test_without_an_archive_the_receipts_are_kept_and_nothing_is_logged_twice(
    pending: PendingRecord, run: AttestedRun
) -> None:
    worker = _archive_in_the_way(run)
    with pytest.raises(UnfinishedError) as caught:
        complete(pending, worker.sealer, worker.archive)
    kept = caught.value.record
    assert kept.bundle is not None
    assert len(kept.bundle.receipts) == 3
    finished = complete(kept, run.worker.sealer, run.worker.archive)
    assert finished.to_bytes() == kept.bundle.to_bytes()


def test_a_spooled_record_is_drained_and_verifies_as_any_other(pending: PendingRecord, run: AttestedRun) -> None:
    worker = _archive_in_the_way(run)
    with pytest.raises(UnfinishedError) as caught:
        complete(pending, worker.sealer, worker.archive)
    run.worker.spool.put(pending.name, caught.value.record.to_bytes())
    assert drain(run.worker.spool, worker.sealer, worker.archive, at_most=9)[0] == 0
    assert len(run.worker.spool.names()) == 1
    assert drain(run.worker.spool, run.worker.sealer, run.worker.archive, at_most=9) == (1, [])
    assert run.worker.spool.names() == []
    content = run.worker.archive.get(record_path(DAG_ID, RUN_ID, "ingest", "1.bundle.json"))
    assert set(AttestationBundle.parse(content).receipts) == {"link", "provenance", "tee"}


def test_a_damaged_spooled_record_does_not_stand_in_the_way_of_others(pending: PendingRecord, run: AttestedRun) -> None:
    run.worker.spool.put("00", b"not a record")
    run.worker.spool.put(pending.name, pending.to_bytes())
    done, problems = drain(run.worker.spool, run.worker.sealer, run.worker.archive, at_most=9)
    assert done == 1
    assert len(problems) == 1
    assert run.worker.spool.names() == ["00"]


def test_records_that_can_never_be_finished_let_others_pass(pending: PendingRecord, run: AttestedRun) -> None:
    for number in range(3):
        run.worker.spool.put(f"0{number}", b"not a record")
    run.worker.spool.put(pending.name, pending.to_bytes())
    assert drain(run.worker.spool, run.worker.sealer, run.worker.archive, at_most=3)[0] == 0
    assert drain(run.worker.spool, run.worker.sealer, run.worker.archive, at_most=3)[0] == 1


def _archive_in_the_way(run: AttestedRun) -> workers.Worker:
    """The run's worker, but with an archive that cannot keep anything."""
    (run.folder / "full").write_text("a file where the archive should be")
    settings = Settings.parse(
        {"deployment": "tests", "attester": f"simulated:{run.folder}/tee", "archive": f"file:{run.folder}/full"},
        home=str(run.folder),
    )
    return workers.worker(settings)


def test_without_its_authority_a_record_waits_in_the_log_and_is_stamped_from_there(
    pending: PendingRecord, run: AttestedRun
) -> None:
    sealer, archive = run.worker.sealer, run.worker.archive
    with pytest.raises(UnfinishedError, match="is away") as caught:
        complete(pending, replace(sealer, authority=NobodyThere()), archive)
    kept = caught.value.record
    assert kept.bundle is not None
    assert set(kept.bundle.receipts) == set(kept.bundle.envelopes)
    authority = Authority()
    finished = complete(PendingRecord.parse(kept.to_bytes()), replace(sealer, authority=authority), archive)
    assert finished.receipts == kept.bundle.receipts
    assert set(finished.timestamps) == {"link"}
    assert complete(replace(kept, bundle=finished), replace(sealer, authority=NobodyThere()), archive) == finished


@pytest.fixture
def later(tmp_path: Path) -> AttestedRun:
    """A run whose log signs later."""
    return AttestedRun(tmp_path / "later", log_integration="deferred")


def test_a_deferred_record_waits_in_the_spool_with_its_place_in_the_log(
    pending: PendingRecord, later: AttestedRun
) -> None:
    worker = later.worker
    indices = defer(pending, worker.sealer, worker.archive, worker.spool)
    assert sorted(indices.values()) == [0, 1, 2]
    assert worker.sealer.log.latest() is None
    assert worker.spool.names() == [pending.name]
    path = record_path(DAG_ID, RUN_ID, "ingest", "1.sequenced.json")
    kept = parse_json(worker.archive.get(path))
    assert kept["indices"] == indices
    assert kept["bundle"]["receipts"] == {}
    with pytest.raises(MissingError):
        worker.archive.get(record_path(DAG_ID, RUN_ID, "ingest", "1.bundle.json"))


def test_a_deferred_record_is_completed_at_the_place_that_it_was_promised(
    pending: PendingRecord, later: AttestedRun
) -> None:
    worker = later.worker
    indices = defer(pending, worker.sealer, worker.archive, worker.spool)
    worker.sealer.log.append([b"another's entry"])
    assert drain(worker.spool, worker.sealer, worker.archive, at_most=9) == (1, [])
    content = worker.archive.get(record_path(DAG_ID, RUN_ID, "ingest", "1.bundle.json"))
    receipts = AttestationBundle.parse(content).receipts
    assert {role: receipt.index for role, receipt in receipts.items()} == indices


def test_a_deferred_record_that_was_spooled_and_not_archived_is_completed_all_the_same(
    pending: PendingRecord, later: AttestedRun
) -> None:
    (later.folder / "archive").write_text("a file where the archive should be")
    worker = later.worker
    with pytest.raises(UnfinishedError):
        defer(pending, worker.sealer, worker.archive, worker.spool)
    (later.folder / "archive").unlink()
    assert drain(worker.spool, worker.sealer, worker.archive, at_most=9) == (1, [])


def test_a_record_whose_log_is_away_has_no_place(pending: PendingRecord, later: AttestedRun) -> None:
    shutil.rmtree(later.folder / "log")
    with pytest.raises(UnfinishedError) as caught:
        defer(pending, later.worker.sealer, later.worker.archive, later.worker.spool)
    assert caught.value.record.bundle is not None
    assert later.worker.spool.names() == []


def test_a_log_that_signs_at_once_gives_no_places_in_advance(pending: PendingRecord, run: AttestedRun) -> None:
    with pytest.raises(UnfinishedError, match="log_integration"):
        defer(pending, run.worker.sealer, run.worker.archive, run.worker.spool)
