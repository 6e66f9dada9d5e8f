"""What holds for every attester. A backend joins with one function in ``ATTESTERS``."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_atlas.encoding import Fields, canonical_json, parse_json
from airflow_provider_atlas.errors import AttesterError
from airflow_provider_atlas.tee.attester import Attester
from airflow_provider_atlas.tee.backends.attester_client import HelperAttester
from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester
from airflow_provider_atlas.tee.backends.simulated_snp import SimulatedSnpAttester
from airflow_provider_atlas.tee.binding import is_committed
from airflow_provider_atlas.tee.evidence import Claims, Evidence
from airflow_provider_atlas.wiring import tees
from tests.support.attestation_helper import attestation_helper

REPORT_DATA = hashlib.sha512(b"a record").digest()
CLIENTS = 50


@dataclass(frozen=True)
class Subject:
    """An attester, and the roots by which a relying party accepts it."""

    attester: Attester
    development_roots: Collection[str]

    def verify(self, shown: Evidence) -> Claims:
        """Return the claims of ``shown``, once it is found genuine."""
        verifier = tees.evidence_verifiers()[shown.tee]
        return verifier.verify(shown, development_roots=self.development_roots, at=datetime.now(UTC))


@contextmanager
def simulated(folder: Path, _: pytest.FixtureRequest) -> Iterator[Subject]:
    attester = SimulatedAttester(folder)
    yield Subject(attester, {attester.root_sha256})


@contextmanager
def tsm(_: Path, request: pytest.FixtureRequest) -> Iterator[Subject]:
    emulated = request.getfixturevalue("mounted_tsm")
    yield Subject(emulated.attester(), {emulated.root_sha256})


@contextmanager
def tsm_snp(_: Path, request: pytest.FixtureRequest) -> Iterator[Subject]:
    emulated = request.getfixturevalue("mounted_snp")
    yield Subject(emulated.attester(), {emulated.root_sha256})


@contextmanager
def simulated_snp(folder: Path, _: pytest.FixtureRequest) -> Iterator[Subject]:
    attester = SimulatedSnpAttester(folder)
    yield Subject(attester, {attester.root_sha256})


@contextmanager
def helper_of_simulated(folder: Path, request: pytest.FixtureRequest) -> Iterator[Subject]:
    with simulated(folder, request) as own, attestation_helper(folder, own.attester, patience=20.0) as path:
        yield replace(own, attester=HelperAttester(path=path))


@contextmanager
def helper_of_tsm(folder: Path, request: pytest.FixtureRequest) -> Iterator[Subject]:
    with tsm(folder, request) as own, attestation_helper(folder, own.attester, patience=20.0) as path:
        yield replace(own, attester=HelperAttester(path=path))


ATTESTERS = [
    pytest.param(simulated, id="simulated"),
    pytest.param(helper_of_simulated, id="helper of simulated"),
    pytest.param(tsm, id="tsm, tdx", marks=pytest.mark.services),
    pytest.param(simulated_snp, id="simulated snp"),
    pytest.param(tsm_snp, id="tsm, sev-snp", marks=pytest.mark.services),
    pytest.param(helper_of_tsm, id="helper of tsm, tdx", marks=pytest.mark.services),
]


@pytest.fixture(params=ATTESTERS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    with request.param(tmp_path, request) as made:
        yield made


@pytest.mark.parametrize("report_data", [REPORT_DATA, bytes(64), b"\xff" * 64], ids=["a digest", "zeros", "ones"])
def test_its_evidence_is_genuine_and_commits_to_the_report_data(subject: Subject, report_data: bytes):
    assert is_committed(report_data, subject.verify(subject.attester.attest(report_data)).report_data)


def test_its_evidence_commits_to_nothing_else(subject: Subject):
    claimed = subject.verify(subject.attester.attest(REPORT_DATA)).report_data
    assert not is_committed(hashlib.sha512(b"another record").digest(), claimed)


def test_its_evidence_calls_itself_simulated_exactly_when_its_root_is_no_vendors(subject: Subject):
    shown = subject.attester.attest(REPORT_DATA)
    assert (shown.provider == "simulated") == subject.verify(shown).development


def test_its_evidence_survives_the_bundle(subject: Subject):
    shown = subject.attester.attest(REPORT_DATA)
    kept = Evidence.take(Fields(parse_json(canonical_json(shown.to_json())), "the evidence"))
    assert subject.verify(kept) == subject.verify(shown)


@pytest.mark.parametrize("size", [0, 1, 32, 63, 65, 128])
def test_report_data_of_another_size_is_refused(subject: Subject, size: int):
    with pytest.raises(AttesterError, match=f"expected 64 bytes of report data, not {size}"):
        subject.attester.attest(bytes(size))


def test_many_clients_at_once_each_have_their_own_evidence(subject: Subject):
    shown: dict[int, Evidence] = {}

    def ask(number: int) -> None:
        shown[number] = subject.attester.attest(hashlib.sha512(bytes([number])).digest())

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(shown) == list(range(CLIENTS))
    for number, evidence in shown.items():
        assert is_committed(hashlib.sha512(bytes([number])).digest(), subject.verify(evidence).report_data)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # newer Pythons warn of threads, which are the point
def test_a_process_that_was_forked_after_it_was_opened_attests_with_it(subject: Subject):
    # So Airflow's tasks run: what their parent opened is what they attest with.
    import multiprocessing

    subject.attester.attest(REPORT_DATA)
    forking = multiprocessing.get_context("fork")
    answers = forking.SimpleQueue()
    child = forking.Process(target=lambda: answers.put(subject.attester.attest(REPORT_DATA).to_json()))
    child.start()
    shown = Evidence.take(Fields(answers.get(), "the evidence"))
    child.join(20)
    assert child.exitcode == 0
    assert is_committed(REPORT_DATA, subject.verify(shown).report_data)


def test_what_is_shown_of_it_holds_no_private_key(subject: Subject):
    shown = subject.attester.attest(REPORT_DATA)
    for content in (shown.quote, *(one.content for one in shown.endorsements), repr(subject.attester).encode()):
        assert b"PRIVATE" not in content


def test_asking_loads_no_library_that_only_a_verifier_needs():
    # An attester is opened in each task's process.
    modules = ("tsm", "attester_client")
    program = "".join(f"import airflow_provider_atlas.tee.backends.{name}\n" for name in modules)
    program += "import sys\nprint(*{'cryptography', 'dcap_qvl', 'mfusepy', 'requests'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "\n"
