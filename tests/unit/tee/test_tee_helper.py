"""The attestation helper: whom it serves, what it stands, and what its clients are told."""

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import AttesterError, ConfigError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tee.answer import Answer, Problem
from airflow_provider_atlas.tee.attester import Attester
from airflow_provider_atlas.tee.backends.attester_client import HelperAttester
from airflow_provider_atlas.tee.backends.attester_socket import inherited, listening_at
from airflow_provider_atlas.tee.backends.batching import BatchingAttester
from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester
from airflow_provider_atlas.tee.evidence import Evidence
from airflow_provider_atlas.wiring import tee_services
from airflow_provider_atlas.wiring.tee_services import HelperSocket
from tests.support.attestation_helper import attestation_helper

REPORT_DATA = bytes(range(64))
ME = os.geteuid()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SimulatedAttester:
    return SimulatedAttester(tmp_path_factory.mktemp("platform"))


class Failing:
    """An attester that raises ``error``."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def attest(self, report_data: bytes) -> Evidence:  # noqa: ARG002 - as Attester has it
        raise self.error


class Slow:
    """An attester that gives nothing before it is released."""

    def __init__(self, attester: Attester) -> None:
        self.attester = attester
        self.asked, self.released = threading.Semaphore(0), threading.Event()

    def attest(self, report_data: bytes) -> Evidence:
        self.asked.release()
        assert self.released.wait(20)
        return self.attester.attest(report_data)


def said(path: Path, request: bytes, *, ended: bool = True) -> bytes:
    """Send ``request`` and return the whole answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        with suppress(BrokenPipeError):
            connection.sendall(request)
        if ended:
            connection.shutdown(socket.SHUT_WR)
        answer = bytearray()
        with suppress(ConnectionResetError):
            while part := connection.recv(1 << 16):
                answer += part
        return bytes(answer)


def problem(path: Path, request: bytes, *, ended: bool = True) -> Problem:
    content = Answer.parse(said(path, request, ended=ended)).content
    assert isinstance(content, Problem)
    return content


def test_its_evidence_is_the_attesters_own(tmp_path: Path, simulated: SimulatedAttester):
    with attestation_helper(tmp_path, simulated) as path:
        shown = HelperAttester(path=path).attest(REPORT_DATA)
    claims = DcapVerifier().verify(shown, development_roots={simulated.root_sha256}, at=datetime.now(UTC))
    assert (shown.provider, claims.report_data) == ("simulated", REPORT_DATA)
    assert [one.media_type for one in shown.endorsements] == [
        one.media_type for one in simulated.attest(REPORT_DATA).endorsements
    ]


def test_a_user_who_was_not_named_gets_nothing(tmp_path: Path, simulated: SimulatedAttester):
    said = f"user {ME} may not ask: start the helper with --allow-uid {ME}"
    others = attestation_helper(tmp_path, simulated, uids=(ME + 1,))
    with others as path, pytest.raises(AttesterError, match=said):
        HelperAttester(path=path).attest(REPORT_DATA)


def test_a_user_who_was_not_named_is_refused_before_anything_is_read(tmp_path: Path, simulated: SimulatedAttester):
    with attestation_helper(tmp_path, simulated, uids=()) as path:
        assert "may not ask" in problem(path, b"", ended=False).detail


@pytest.mark.parametrize(
    "request_", [b"", b"x", bytes(63), bytes(65), bytes(1 << 20), b"GET / HTTP/1.1\r\n\r\n"], ids=len
)
def test_what_is_no_request_is_refused_and_the_next_one_is_served(
    tmp_path: Path, simulated: SimulatedAttester, request_: bytes
):
    with attestation_helper(tmp_path, simulated) as path:
        assert "expected 64 bytes" in problem(path, request_).detail
        assert HelperAttester(path=path).attest(REPORT_DATA)


def test_a_client_that_sends_nothing_is_hung_up_on(tmp_path: Path, simulated: SimulatedAttester):
    began = time.monotonic()
    with attestation_helper(tmp_path, simulated) as path:
        assert "expected 64 bytes" in problem(path, bytes(10), ended=False).detail
    assert time.monotonic() - began < 5


def test_a_client_that_drips_bytes_has_no_more_time_than_others(tmp_path: Path, simulated: SimulatedAttester):
    with attestation_helper(tmp_path, simulated) as path, socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        began = time.monotonic()
        with suppress(BrokenPipeError):
            while time.monotonic() - began < 5:
                connection.sendall(b"x")
                time.sleep(0.1)
        assert time.monotonic() - began < 2


def test_a_client_that_goes_away_harms_nobody(tmp_path: Path, simulated: SimulatedAttester):
    with attestation_helper(tmp_path, simulated) as path:
        for _ in range(20):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                connection.sendall(REPORT_DATA)
        assert HelperAttester(path=path).attest(REPORT_DATA)


def test_clients_that_say_nothing_do_not_keep_others_waiting(tmp_path: Path, simulated: SimulatedAttester):
    with attestation_helper(tmp_path, simulated, patience=3.0) as path:
        idle = [socket.socket(socket.AF_UNIX) for _ in range(20)]
        try:
            for connection in idle:
                connection.connect(str(path))
            began = time.monotonic()
            assert HelperAttester(path=path).attest(REPORT_DATA)
            assert time.monotonic() - began < 2
        finally:
            for connection in idle:
                connection.close()


def test_more_than_it_answers_at_once_are_told_to_come_again(tmp_path: Path, simulated: SimulatedAttester):
    slow = Slow(simulated)
    with attestation_helper(tmp_path, slow, at_once=2) as path:
        threads = [threading.Thread(target=said, args=(path, REPORT_DATA)) for _ in range(2)]
        for thread in threads:
            thread.start()
            assert slow.asked.acquire(timeout=10)
        assert problem(path, REPORT_DATA) == Problem(detail="too many ask at once", again=True)
        with pytest.raises(AttesterError, match="too many ask at once"):
            HelperAttester(path=path, timeout=0.3).attest(REPORT_DATA)
        threading.Timer(0.3, slow.released.set).start()
        assert HelperAttester(path=path).attest(REPORT_DATA), "a client comes again by itself"
        for thread in threads:
            thread.join()


def test_a_user_who_asks_too_often_is_told_to_come_again(tmp_path: Path, simulated: SimulatedAttester):
    with attestation_helper(tmp_path, simulated, rate=1.0) as path:
        answers = [Answer.parse(said(path, REPORT_DATA)).content for _ in range(15)]
    refused = [answer for answer in answers if isinstance(answer, Problem)]
    assert len(refused) >= 4
    assert set(refused) == {Problem(detail="too many requests a second", again=True)}


def test_a_helper_that_ends_answers_whom_it_has_begun_with(tmp_path: Path, simulated: SimulatedAttester):
    slow, answers = Slow(simulated), list[Evidence]()
    with attestation_helper(tmp_path, slow) as path:
        client = threading.Thread(target=lambda: answers.append(HelperAttester(path=path).attest(REPORT_DATA)))
        client.start()
        assert slow.asked.acquire(timeout=10)
        threading.Timer(0.3, slow.released.set).start()
    client.join()
    assert len(answers) == 1


def test_the_attesters_own_words_are_passed_on(tmp_path: Path):
    failing = attestation_helper(tmp_path, Failing(AttesterError("no driver: load tdx_guest")))
    with failing as path, pytest.raises(AttesterError, match="no driver: load tdx_guest"):
        HelperAttester(path=path).attest(REPORT_DATA)


def test_an_attester_that_breaks_takes_the_helper_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with attestation_helper(tmp_path, Failing(ZeroDivisionError("secret"))) as path:
        for _ in range(3):
            with pytest.raises(AttesterError, match="the attester failed: see the helper's log") as caught:
                HelperAttester(path=path).attest(REPORT_DATA)
            assert "secret" not in str(caught.value)
    assert "ZeroDivisionError: secret" in caplog.text


@contextmanager
def stranger(folder: Path, answer: bytes | None) -> Iterator[Path]:
    """Listen where a helper should, and say ``answer`` to one client, or nothing."""
    path = folder / "stranger.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as connection, suppress(OSError):
                connection.recv(64)
                if answer is None:
                    time.sleep(1)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield path
        thread.join()


@pytest.mark.parametrize("answer", [b"", b"{}", b'{"v":2}', b"\xff" * 100, b"[" * 1000, b" " * (9 << 20)], ids=len)
def test_a_helper_that_speaks_otherwise_is_an_attesters_error(tmp_path: Path, answer: bytes):
    with (
        stranger(tmp_path, answer) as path,
        pytest.raises(AttesterError, match="expected an answer of the attestation"),
    ):
        HelperAttester(path=path).attest(REPORT_DATA)


def test_a_helper_that_says_nothing_is_given_up_in_time(tmp_path: Path):
    with stranger(tmp_path, None) as path, pytest.raises(AttesterError, match="gave no answer in 0 s"):
        HelperAttester(path=path, timeout=0.3).attest(REPORT_DATA)


def test_no_helper_is_told_with_how_to_have_one(tmp_path: Path):
    with pytest.raises(AttesterError, match=r"no attestation helper at .*: run `atlas tee helper --socket .*` as root"):
        HelperAttester(path=tmp_path / "tee.sock").attest(REPORT_DATA)


def test_its_socket_has_the_mode_that_was_asked_for(tmp_path: Path):
    with listening_at(tmp_path / "tee.sock", mode=0o640, group=os.getegid()) as listener:
        assert stat.S_IMODE((tmp_path / "tee.sock").stat().st_mode) == 0o640
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    assert os.listdir(tmp_path) == []


def test_what_a_killed_helper_left_is_replaced(tmp_path: Path, simulated: SimulatedAttester):
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "tee.sock"))
    with attestation_helper(tmp_path, simulated) as path:
        assert HelperAttester(path=path).attest(REPORT_DATA)


def test_a_helper_that_lives_is_not_replaced(tmp_path: Path, simulated: SimulatedAttester):
    with attestation_helper(tmp_path, simulated) as path:
        with (
            pytest.raises(ConfigError, match="another helper listens there"),
            listening_at(path, mode=0o600, group=None),
        ):
            pass
        assert HelperAttester(path=path).attest(REPORT_DATA)


def test_a_file_is_not_replaced(tmp_path: Path):
    (tmp_path / "tee.sock").write_text("mine")
    with pytest.raises(ConfigError, match="expected nothing there, or a socket"):
        listening_at(tmp_path / "tee.sock", mode=0o600, group=None).__enter__()
    assert (tmp_path / "tee.sock").read_text() == "mine"


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot listen at"):
        listening_at(tmp_path / "none" / "tee.sock", mode=0o600, group=None).__enter__()


ACTIVATED = """
import os, socket, sys
from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.tee.backends.attester_socket import inherited

os.environ["LISTEN_PID"] = str(os.getpid())
try:
    listener = inherited(os.environ)
    print(listener.getsockname(), os.get_inheritable(3), sorted(name for name in os.environ if "LISTEN" in name))
except ConfigError as error:
    print("refused:", error)
"""


def activated(passed: socket.socket | None, number: str = "1") -> str:
    """Return what a process says that systemd started with ``passed`` as its descriptor 3."""

    def pass_on() -> None:
        if passed is not None:
            os.dup2(passed.fileno(), 3)

    environment = {**os.environ, "LISTEN_FDS": number, "LISTEN_FDNAMES": "tee"}
    command = [sys.executable, "-c", ACTIVATED]
    descriptors = (3,) if passed is not None else ()
    return subprocess.run(
        command, env=environment, preexec_fn=pass_on, pass_fds=descriptors, capture_output=True, text=True, check=True
    ).stdout


def test_a_socket_from_systemd_is_taken_and_not_passed_on(tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "tee.sock"))
        listener.listen()
        assert activated(listener) == f"{tmp_path / 'tee.sock'} False []\n"


def test_what_else_systemd_may_pass_is_refused(tmp_path: Path):
    assert activated(None).startswith("refused: expected a socket from systemd")
    assert "expected one socket from systemd, not 2" in activated(None, "2")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(str(tmp_path / "datagrams"))
        assert "a listening stream socket of the Unix family" in activated(datagrams)
    with socket.create_server(("127.0.0.1", 0)) as internet:
        assert "a listening stream socket of the Unix family" in activated(internet)


@pytest.mark.parametrize("environment", [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_FDS": "1"}])
def test_what_was_passed_to_another_process_is_left_alone(environment: dict[str, str]):
    before = dict(environment)
    assert inherited(environment) is None
    assert environment == before


def test_what_is_asked_in_threads_is_answered_to_each(tmp_path: Path, simulated: SimulatedAttester):
    quotes: dict[int, bytes] = {}

    def ask(ask_of: Callable[[bytes], Evidence], number: int) -> None:
        quotes[number] = ask_of(bytes([number]) * 64).quote[568:632]

    with attestation_helper(tmp_path, simulated) as path:
        client = HelperAttester(path=path)
        threads = [threading.Thread(target=ask, args=(client.attest, number)) for number in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert quotes == {number: bytes([number]) * 64 for number in range(100)}


def test_many_who_ask_a_batching_helper_at_once_share_few_quotes(tmp_path: Path, simulated: SimulatedAttester):
    slow, given = Slow(simulated), dict[int, Evidence]()

    def ask(number: int) -> None:
        given[number] = HelperAttester(path=path).attest(bytes([number]) * 64)

    with attestation_helper(tmp_path, BatchingAttester(slow)) as path:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
        threads[0].start()
        assert slow.asked.acquire(timeout=20)  # the first quote is under way; all others wait for the next one
        for thread in threads[1:]:
            thread.start()
        time.sleep(0.3)
        slow.released.set()
        for thread in threads:
            thread.join(20)
    assert len({shown.quote for shown in given.values()}) <= 3
    for number, shown in given.items():
        claims = DcapVerifier().verify(shown, development_roots={simulated.root_sha256}, at=datetime.now(UTC))
        assert claims.report_data == shown.quoted(bytes([number]) * 64)


def test_the_helper_of_the_command_line_batches_when_it_is_told_to(tmp_path: Path):
    settings = Settings.parse({"attester": f"simulated:{tmp_path}/tee"}, home=str(tmp_path))
    place = HelperSocket(path=tmp_path / "tee.sock", mode=0o600)
    for batch in (False, True):
        with tee_services.attestation_helper(settings, place, [ME], 50, batch=batch) as (serve, stop):
            thread = threading.Thread(target=serve)
            thread.start()
            try:
                assert (HelperAttester(path=tmp_path / "tee.sock").attest(REPORT_DATA).batch is not None) is batch
            finally:
                stop()
                thread.join(20)
