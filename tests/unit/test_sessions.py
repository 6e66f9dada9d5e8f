"""A worker's session: one key, one quote, for this process and all that it forks."""

import os
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import AttesterError, SigningError
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tee.binding import session_nonce
from airflow_provider_atlas.tee.evidence import Evidence
from airflow_provider_atlas.wiring import tees, workers
from airflow_provider_atlas.wiring.sessions import Session
from tests.support.attested_run import AttestedRun
from tests.support.time_stamping import Authority


class Counting:
    """A TEE that counts its quotes, and fails as long as it is told to."""

    def __init__(self, run: AttestedRun) -> None:
        self.quotes = 0
        self.fails = False
        self._attester = tees.attester(run.settings)

    def attest(self, report_data: bytes) -> Evidence:
        self.quotes += 1
        if self.fails or self._attester is None:
            raise AttesterError("the TEE gave no quote")
        return self._attester.attest(report_data)


@pytest.fixture
def run(tmp_path: Path) -> AttestedRun:
    return AttestedRun(tmp_path, attester_mode="session")


@pytest.fixture
def attester(run: AttestedRun) -> Counting:
    return Counting(run)


def session_of(run: AttestedRun, attester: Counting, authority: Authority | None = None) -> Session:
    return Session(attester, run.worker.sealer.log, authority)


def test_nothing_is_quoted_before_somebody_signs_and_once_after_that(run: AttestedRun, attester: Counting) -> None:
    session = session_of(run, attester)
    assert attester.quotes == 0
    session.public_key.verify(session.sign(b"message"), b"message")
    assert session.evidence().binding.key.hex() == session.public_key.sha256
    assert attester.quotes == 1


def test_a_session_that_could_not_be_opened_is_tried_again(run: AttestedRun, attester: Counting) -> None:
    session = session_of(run, attester)
    attester.fails = True
    with pytest.raises(AttesterError):
        session.sign(b"message")
    attester.fails = False
    assert session.evidence().binding.key.hex() == session.public_key.sha256


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the test runner has threads
def test_what_is_forked_inherits_the_key_and_its_evidence(run: AttestedRun, attester: Counting) -> None:
    session = session_of(run, attester)
    key = session.public_key
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        same = session.public_key == key and attester.quotes == 1
        os.write(writing, session.sign(b"from the child") if same else b"")
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        key.verify(pipe.read(), b"from the child")
    assert attester.quotes == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the test runner has threads
def test_what_was_forked_before_has_a_session_of_its_own(run: AttestedRun, attester: Counting) -> None:
    session = session_of(run, attester)
    session._once.acquire()  # as when another thread of the parent is at it
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, session.public_key.spki)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    session._once.release()
    with os.fdopen(reading, "rb") as pipe:
        assert len(pipe.read()) == len(session.public_key.spki)
    assert attester.quotes == 1


def test_the_key_is_never_on_the_disk(run: AttestedRun) -> None:
    run.complete()
    folder = run.folder / "keys"
    assert [path.name for path in folder.iterdir() if path.name != "log.pem"] == ["task.pem"]  # for the manifest
    other = AttestedRun(run.folder / "other", attester_mode="session")
    other.record("ingest", outputs={"table": b"t"})
    assert [path.name for path in (run.folder / "other" / "keys").iterdir()] == ["log.pem"]


def test_an_authority_says_how_old_a_session_is_at_most(run: AttestedRun, attester: Counting) -> None:
    bound = session_of(run, attester, Authority()).evidence()
    assert bound.timestamp is not None
    assert bound.binding.nonce == session_nonce(bound.timestamp)
    other = session_of(run, attester).evidence()
    assert other.timestamp is None
    assert other.binding.nonce != session_of(run, attester).evidence().binding.nonce


def test_a_record_that_was_started_in_another_session_is_not_finished_with_two_keys(run: AttestedRun) -> None:
    bundle = run.record("publish", start=True)
    link = Link.parse(bundle.envelopes["link"].payload)
    with pytest.raises(SigningError, match="the key that signed the start"):
        workers.worker(run.settings).sealer.vouch(link, bundle)


@pytest.mark.parametrize("mode", ["task", "batch"])
def test_in_other_modes_the_configured_key_signs_all(tmp_path: Path, mode: str) -> None:
    worker = workers.worker(
        Settings.parse({"attester": f"simulated:{tmp_path}/tee", "attester_mode": mode}, home=str(tmp_path))
    )
    assert workers.declarer(worker) is worker.sealer
    assert worker.sealer.session is None
