"""What a short-lived key signs is shown to an authority at once: without its word no record is begun."""

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_atlas.attest.pending import Attachments, PendingRecord, UnfinishedError, complete
from airflow_provider_atlas.errors import TimestampError
from airflow_provider_atlas.intoto.link import Link
from tests.support.attested_run import AttestedRun
from tests.support.fulcio import keyless
from tests.support.small_run import links


class Away:
    """An authority that is not there."""

    def stamp(self, _: bytes) -> bytes:
        raise TimestampError("the authority is away")


@pytest.fixture
def run(tmp_path: Path):
    with keyless(tmp_path) as services:
        yield AttestedRun(tmp_path / "run", trust=services.trust, **services.section)


def pending(link: Link) -> PendingRecord:
    return PendingRecord(link=link, attachments=Attachments(pipeline=b"{}", openings=b"{}"))


def test_without_an_authority_nothing_is_signed(run):
    with pytest.raises(TimestampError, match=r"\[atlas\] tsa"):
        replace(run.worker.sealer, authority=None).vouch(links()[0])


def test_a_record_that_no_authority_saw_is_neither_kept_nor_logged_and_is_signed_anew_later(run):
    sealer, (link, *_) = run.worker.sealer, links()
    with pytest.raises(UnfinishedError) as raised:
        complete(pending(link), replace(sealer, authority=Away()), run.worker.archive)
    assert raised.value.record.bundle is None
    assert sealer.log.latest() is None
    first = sealer.signer.certified()
    sealer.signer._current = None  # its certificate ended while the record waited in the spool
    bundle = complete(raised.value.record, sealer, run.worker.archive)
    assert bundle.certificate == sealer.signer.certified().certificate != first.certificate
    assert bundle.timestamps.keys() == bundle.envelopes.keys() == bundle.receipts.keys()


def test_a_record_that_was_stamped_and_not_logged_is_logged_as_it_is(run):
    sealer, (link, *_) = run.worker.sealer, links()
    signed = sealer.vouch(link)
    sealer.signer._current = None
    bundle = complete(replace(pending(link), bundle=signed), sealer, run.worker.archive)
    assert (bundle.certificate, bundle.timestamps) == (signed.certificate, signed.timestamps)
