"""A log asks its witnesses before it publishes: who is away, who lies, who knows more, and what becomes of a commit."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import ConfigError, LogError
from airflow_provider_atlas.tlog.backends.posix import PosixLog
from airflow_provider_atlas.tlog.backends.witness_client import Witnesses
from airflow_provider_atlas.tlog.note import NoteSignature
from airflow_provider_atlas.tlog.witness import AddCheckpoint, origin_id
from tests.support.logs import ORIGIN, SIGNING_KEY, entries, entry
from tests.support.witness_servers import Witnessed
from tests.support.witnesses import W1, W2, policy_of

DEAD = "http://127.0.0.1:9"  # the discard port, where nobody listens


class Town(Witnessed):
    """Some witnesses, and logs in folders that ask them."""

    def log(self, threshold: int, *, fail_open: bool = False, folder: str = "log") -> PosixLog:
        cosign = self.cosign(threshold, fail_open=fail_open, timeout=1)
        return PosixLog(self.folder / folder, ORIGIN, SIGNING_KEY, cosign=cosign)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(tmp_path, stack)


def test_each_checkpoint_is_published_with_its_quorum(town: Town):
    for name in ("a", "b"):
        town.settle(name)
    for start in (0, 3, 300):
        receipts = town.log(2).append(entries(start, start + 300))
        for receipt, number in zip(receipts, range(start, start + 300), strict=True):
            town.trusted(2).check(receipt, entry(number))
        published = town.log(2).reader.latest()
        assert published
        assert published.note == receipts[0].note
        assert len(published.note.signatures) == 3


def test_one_log_object_asks_again_and_again(town: Town):
    town.settle("a")
    log = town.log(1)
    for number in range(5):
        (receipt,) = log.append([entry(number)])
        town.trusted(1).check(receipt, entry(number))


def test_an_entry_that_was_logged_has_a_witnessed_receipt_when_it_is_asked_for_again(town: Town):
    town.settle("a")
    town.log(1).append(entries(0, 5))
    (receipt,) = town.log(1).append([entry(3)])
    assert receipt.index == 3
    town.trusted(1).check(receipt, entry(3))


def test_without_a_quorum_nothing_is_published_and_nothing_is_lost(town: Town):
    town.settle("a")
    town.settle("away", url=DEAD)
    with pytest.raises(LogError, match="away: "):
        town.log(2).append(entries(0, 3))
    assert town.log(2).latest() is None
    with pytest.raises(LogError):
        town.log(2).append([entry(3)])
    (receipt,) = town.log(1).append([entry(1)])
    assert receipt.index == 1
    assert town.log(1).reader.audit().checkpoint.size == 4
    town.trusted(1).check(receipt, entry(1))


def test_a_witness_that_comes_back_is_told_what_it_missed(town: Town):
    town.settle("a")
    town.log(1).append(entries(0, 3))
    town.settle("b")
    (receipt,) = town.log(2).append([entry(3)])
    town.trusted(2).check(receipt, entry(3))


def test_an_open_log_publishes_what_it_got(town: Town, caplog: pytest.LogCaptureFixture):
    town.settle("a")
    town.settle("away", url=DEAD)
    (receipt,) = town.log(2, fail_open=True).append([entry(0)])
    assert len(receipt.note.signatures) == 2
    assert town.trusted(1).check(receipt, entry(0)).size == 1
    assert "without a quorum" in caplog.text


def test_a_log_without_witnesses_asks_nobody(tmp_path: Path):
    (receipt,) = PosixLog(tmp_path / "log", ORIGIN, SIGNING_KEY).append([entry(0)])
    assert len(receipt.note.signatures) == 1


def test_a_log_that_was_rolled_back_is_not_cosigned_again(town: Town):
    town.settle("a")
    town.log(1).append(entries(0, 5))
    with pytest.raises(LogError, match="rolled back"):  # another history under the same name and key
        town.log(1, folder="second").append([b"another history"])
    with pytest.raises(LogError):
        town.log(1, folder="second").append([b"another %d" % number for number in range(9)])
    town.log(1).append([entry(5)])


@pytest.mark.parametrize("published", [True, False])
def test_a_machine_that_stops_between_its_witness_and_its_readers_goes_on(town: Town, published: bool):
    town.settle("a")
    town.log(1).append(entries(0, 3))
    (town.folder / "log" / ".state" / "tree.json").unlink()
    if not published:
        (town.folder / "log" / "checkpoint").unlink()
    (receipt,) = town.log(1).append([entry(1)])
    town.trusted(1).check(receipt, entry(1))


def test_recovery_waits_for_the_quorum_too(town: Town):
    town.settle("away", url=DEAD)
    with pytest.raises(LogError):
        town.log(1).append(entries(0, 3))
    (town.folder / "log" / ".state" / "tree.json").unlink()
    with pytest.raises(LogError, match="quorum"):
        town.log(1).append([entry(0)])
    assert town.log(1).latest() is None


def test_a_size_that_a_log_wrongly_remembers_is_put_right(town: Town):
    town.settle("a")
    town.log(1).append(entries(0, 3))
    (town.folder / "a" / "logs" / origin_id(ORIGIN) / "checkpoint").unlink()
    (receipt,) = town.log(1).append([entry(3)])
    town.trusted(1).check(receipt, entry(3))


def test_witnesses_that_cannot_be_asked_are_a_mistake():
    with pytest.raises(ConfigError, match="URLs"):
        Witnesses(policy_of([W1, W2], 2, urls=["https://w1.example"]), fail_open=True)


def test_threads_and_a_quorum(town: Town):
    town.settle("a")
    receipts = {}

    def write(first: int) -> None:
        for number in range(first, first + 5):
            receipts[number] = town.log(1).append([entry(number)])[0]

    threads = [threading.Thread(target=write, args=(first,)) for first in range(0, 20, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipt.index for receipt in receipts.values()) == list(range(20))
    for number, receipt in receipts.items():
        town.trusted(1).check(receipt, entry(number))


class _Liar(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, kind, content = self.server.answer(body)  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


SIZE = "text/x.tlog.size"
LIES: dict[str, Callable[[bytes], tuple[int, str, bytes]]] = {
    "nothing": lambda _: (200, "text/plain", b""),
    "no lines": lambda _: (200, "text/plain", b"hello\n"),
    "a stranger's line": lambda _: (200, "text/plain", "— x.example AAAAAAAAAAA=\n".encode()),
    "the log's own line": lambda body: (200, "text/plain", b"".join(body.splitlines(True)[-1:])),
    "a redirection": lambda _: (302, "text/plain", b""),
    "not found": lambda _: (404, "text/plain", b"\x1b[31m"),
    "no size": lambda _: (409, "text/plain", b"7\n"),
    "a size that is none": lambda _: (409, SIZE, b"-7\n"),
    "a size beyond the log": lambda _: (409, SIZE, b"4000\n"),
    "the size it was told": lambda body: (409, SIZE, b"%d\n" % AddCheckpoint.parse(body).old),
    "a size each time": lambda body: (409, SIZE, b"%d\n" % (AddCheckpoint.parse(body).old ^ 1)),
    "too much": lambda _: (200, "text/plain", b"x" * 200_000),
}


@contextmanager
def lying(answer: Callable[[bytes], tuple[int, str, bytes]]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Liar)
    server.answer = answer  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("lie", LIES)
def test_a_witness_that_lies_is_no_witness(town: Town, lie: str):
    with lying(LIES[lie]) as url:
        town.settle("liar", url=url)
        with pytest.raises(LogError, match="liar: "):
            town.log(1).append(entries(0, 3))
    assert town.log(1).latest() is None


def test_a_line_that_its_witness_did_not_sign_is_not_published(town: Town):
    def forge(_: bytes) -> tuple[int, str, bytes]:
        return 200, "text/plain", f"{NoteSignature(name=key.name, key_id=key.key_id, signature=bytes(72))}\n".encode()

    with lying(forge) as url:
        key = town.settle("liar", url=url).cosigners[0].verifier_key
        with pytest.raises(LogError, match="liar: expected a cosignature"):
            town.log(1).append(entries(0, 3))
        (receipt,) = town.log(1, fail_open=True).append([entry(3)])
    assert len(receipt.note.signatures) == 1


def test_a_witness_that_never_answers_is_not_waited_for(town: Town):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        town.settle("deaf", url=f"http://127.0.0.1:{deaf.getsockname()[1]}")
        with pytest.raises(LogError, match="deaf: "):
            town.log(1).append([entry(0)])
        town.settle("a")
        (receipt,) = town.log(1).append([entry(0)])
    town.trusted(1).check(receipt, entry(0))
