"""A log that lies: every answer of Rekor v2's interface, changed in one way at a time, is refused by the client."""

import http.server
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_atlas.encoding import b64encode
from airflow_provider_atlas.errors import ConfigError, LogError, MalformedError, MissingError
from airflow_provider_atlas.fetching import checked_url
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tlog.backends.rekor_http import Bearer, LogHttp
from airflow_provider_atlas.tlog.backends.rekor_v2 import RekorV2Log
from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.note import VerifierKey, sign
from airflow_provider_atlas.tlog.rekor import LogEntry, parse_request
from airflow_provider_atlas.tlog.tile import Tile
from airflow_provider_atlas.tlog.trust import TrustedLog
from tests.support.log_server import remote_log
from tests.support.logs import KEY, ORIGIN, entry, open_log, record, records

STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


class Answer:
    """What a log answers: changed by a lie before it is sent."""

    def __init__(self, status: int, body: bytes, **headers: str) -> None:
        self.status, self.body, self.headers = status, body, headers


class LyingLog(http.server.ThreadingHTTPServer):
    """A log of 300 records that answers as Rekor v2 does, and then tells ``lie`` of it: (method and path, answer)."""

    daemon_threads = True

    def __init__(self, folder) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.log = open_log(folder)
        self.log.append(records(0, 300))
        self.lie: Callable[[str, Answer], Answer | None] = lambda _, answer: answer
        self.asked: list[str] = []
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def client(self, seen: Path | None = None) -> RekorV2Log:
        http_of = LogHttp(self.url, Bearer(None), pause=lambda _: None)
        return RekorV2Log(http_of, TrustedLog(origin=ORIGIN, key=KEY), seen=seen, pause=lambda _: None)

    def close(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()

    def create(self, body: bytes) -> Answer:
        logged = parse_request(body).to_bytes()
        before = self.log.latest().size
        (receipt,) = self.log.append([logged])
        if receipt.index < before:
            return Answer(409, b'{"code":6}', **{"x-log-index": str(receipt.index)})
        return Answer(201, LogEntry(body=logged, receipt=receipt, log_id=KEY.key_hash).to_bytes())

    def read(self, path: str) -> Answer:
        try:
            if path == "/api/v2/checkpoint":
                return Answer(200, self.log.reader.latest().note.to_bytes())
            return Answer(200, self.log.reader.tile(Tile.parse(path.removeprefix("/api/v2/"))))
        except (MalformedError, MissingError):
            return Answer(404, b"")


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self) -> None:
        self.send(self.server.read(self.path))

    def do_POST(self) -> None:
        self.send(self.server.create(self.rfile.read(int(self.headers["Content-Length"]))))

    def send(self, honest: Answer) -> None:
        asked = f"{self.command} {self.path}"
        self.server.asked.append(asked)
        answer = self.server.lie(asked, honest)
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def lying(tmp_path):
    server = LyingLog(tmp_path)
    yield server
    server.close()


def once(lie):
    """Tell ``lie`` of the answers to writes alone."""
    return lambda asked, answer: lie(answer) if asked.startswith("POST") else answer


def document(answer, change):
    said = json.loads(answer.body)
    change(said)
    return Answer(answer.status, json.dumps(said).encode())


def of_another_entry(lying):
    (receipt,) = lying.log.append([record(900)])
    other = LogEntry(body=record(900), receipt=receipt, log_id=KEY.key_hash).to_bytes()
    return once(lambda _: Answer(201, other))


def of_another_entry_with_our_body(lying):
    (receipt,) = lying.log.append([record(900)])
    return once(lambda _: Answer(201, LogEntry(body=record(500), receipt=receipt, log_id=KEY.key_hash).to_bytes()))


def resigned(key, name):
    def lie(answer):
        logged = LogEntry.parse(answer.body)
        note = sign(logged.receipt.note.text, name, key)
        receipt = type(logged.receipt)(index=logged.receipt.index, hashes=logged.receipt.hashes, note=note)
        return Answer(201, LogEntry(body=logged.body, receipt=receipt, log_id=KEY.key_hash).to_bytes())

    return lie


def a_tree_that_it_did_not_sign(answer):
    logged = LogEntry.parse(answer.body)
    text = Checkpoint(origin=ORIGIN, size=301, root=bytes(32)).to_text()
    note = type(logged.receipt.note)(text=text, signatures=logged.receipt.note.signatures)
    receipt = type(logged.receipt)(index=logged.receipt.index, hashes=logged.receipt.hashes, note=note)
    return Answer(201, LogEntry(body=logged.body, receipt=receipt, log_id=KEY.key_hash).to_bytes())


def without_signatures(said):
    envelope = said["inclusionProof"]["checkpoint"]["envelope"]
    said["inclusionProof"]["checkpoint"]["envelope"] = envelope.partition("\n\n")[0] + "\n\n"


def member(*path, to):
    def change(said):
        for name in path[:-1]:
            said = said[name]
        said[path[-1]] = to

    return lambda answer: document(answer, change)


LIES = {
    "a receipt of another entry": of_another_entry,
    "a receipt of another entry under our body": of_another_entry_with_our_body,
    "a checkpoint by another key": lambda _: once(resigned(STRANGER, "stranger.example")),
    "a checkpoint by another key of the same name": lambda _: once(resigned(STRANGER, ORIGIN)),
    "a root that it did not sign": lambda _: once(a_tree_that_it_did_not_sign),
    "no signature": lambda _: once(lambda answer: document(answer, without_signatures)),
    "a wrong root": lambda _: once(member("inclusionProof", "rootHash", to=b64encode(bytes(32)))),
    "a wrong size": lambda _: once(member("inclusionProof", "treeSize", to="302")),
    "a wrong index": lambda _: once(member("logIndex", to="299")),
    "a shorter proof": lambda _: once(member("inclusionProof", "hashes", to=[])),
    "the id of another log": lambda _: once(member("logId", "keyId", to=b64encode(bytes(32)))),
    "no proof at all": lambda _: once(lambda _: Answer(201, b"{}")),
    "success and nothing else": lambda _: once(lambda _: Answer(200, b"")),
    "accepted, later": lambda _: once(lambda _: Answer(202, b"{}")),
    "no content": lambda _: once(lambda _: Answer(204, b"")),
    "somebody else's address": lambda lying: once(lambda _: Answer(307, b"", Location=f"{lying.url}/checkpoint")),
    "an answer without end": lambda _: once(lambda _: Answer(201, b" " * (3 << 20))),
    "a conflict without an index": lambda _: once(lambda _: Answer(409, b"{}")),
    "a conflict at the index of another": lambda _: once(lambda _: Answer(409, b"{}", **{"x-log-index": "7"})),
    "a conflict at no index": lambda _: once(lambda _: Answer(409, b"{}", **{"x-log-index": "-1"})),
    "a refusal": lambda _: once(lambda _: Answer(400, b'{"message":"no"}')),
    "an error": lambda _: once(lambda _: Answer(500, b"")),
    "that we may not write": lambda _: once(lambda _: Answer(403, b"")),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_about_a_new_entry_is_refused(lying, name):
    lying.lie = LIES[name](lying)
    with pytest.raises(LogError):
        lying.client().append([record(500)])


def test_without_lies_it_is_believed(lying):
    for _ in range(2):  # new, and then there already
        (receipt,) = lying.client().append([record(500)])
        receipt.check(record(500), ORIGIN, [KEY])
        assert receipt.index == 300


def about(part, lie):
    return lambda asked, answer: lie(answer) if part in asked else answer


def flipped(answer):
    return Answer(answer.status, bytes([answer.body[0] ^ 1]) + answer.body[1:])


def conflict(index):
    return about("POST", lambda _: Answer(409, b"{}", **{"x-log-index": str(index)}))


@pytest.mark.parametrize(
    "lie",
    [
        conflict(41),
        conflict(10**18),
        about("/tile/0/000", flipped),
        about("/tile/0/001", flipped),
        about("/tile/0/001", lambda _: Answer(404, b"")),
        about("/tile/0/000", lambda answer: Answer(200, answer.body[:-1])),
        about("/tile/0/000", lambda _: Answer(200, bytes(8193))),
        about("/checkpoint", lambda _: Answer(404, b"")),
        about("/checkpoint", flipped),
        about("/checkpoint", lambda answer: Answer(200, answer.body.partition(b"\n\n")[0] + b"\n\n")),
        about(
            "/checkpoint",
            lambda _: Answer(200, sign(f"{ORIGIN}\n300\n{b64encode(bytes(32))}\n", ORIGIN, STRANGER).to_bytes()),
        ),
        about("/checkpoint", lambda _: Answer(302, b"", Location="/checkpoint")),
        about("/checkpoint", lambda _: Answer(500, b"")),
    ],
    ids=range(13),
)
def test_a_lie_about_an_old_entry_is_refused(lying, lie, monkeypatch):
    monkeypatch.setattr("airflow_provider_atlas.tlog.backends.rekor_v2._PUBLISHED_WITHIN", 0.05)
    lying.lie = lie
    with pytest.raises(LogError):
        lying.client().append([record(40)])


def test_a_partial_tile_that_was_removed_is_read_off_the_full_one(lying):
    shown = lying.log.reader.latest().note.to_bytes()
    lying.log.append(records(1000, 1300))  # which fills the second tile
    removed = about(".p/", lambda _: Answer(404, b""))
    lying.lie = lambda asked, answer: Answer(200, shown) if "/checkpoint" in asked else removed(asked, answer)
    (receipt,) = lying.client().append([record(40)])
    assert receipt.check(record(40), ORIGIN, [KEY]).size == 300
    assert "GET /api/v2/tile/0/001" in lying.asked


@pytest.mark.parametrize("status", [429, 502, 503, 504, None])
def test_what_passes_is_tried_again(lying, status):
    trouble = iter([0, 1])
    lying.lie = lambda _, answer: answer if next(trouble, None) is None else status and Answer(status, b"")
    (receipt,) = lying.client().append([record(500)])
    assert receipt.index == 300
    assert lying.asked.count("POST /api/v2/log/entries") == 3


@pytest.mark.parametrize("status", [429, 503, None])
def test_what_does_not_pass_is_given_up(lying, status):
    lying.lie = lambda _, __: status and Answer(status, b"")
    with pytest.raises(LogError):
        lying.client().append([record(500)])
    assert len(lying.asked) == 5


def test_a_refusal_is_not_tried_again(lying):
    lying.lie = lambda _, __: Answer(400, b"\x1b[31m")
    with pytest.raises(LogError, match=r"HTTP 400\): '\\x1b\[31m'"):
        lying.client().append([record(500)])
    assert len(lying.asked) == 1


def test_it_waits_for_a_checkpoint_that_covers_the_entry(lying):
    shown = iter([lying.log.reader.latest().note.to_bytes()])
    lying.log.append([record(500)])
    lying.lie = about("/checkpoint", lambda answer: Answer(200, next(shown, answer.body)))
    (receipt,) = lying.client().append([record(500)])
    receipt.check(record(500), ORIGIN, [KEY])


def test_receipts_come_in_the_order_of_their_entries(lying):
    numbers = [*range(600, 640), 3, 600, 299]
    receipts = lying.client().append([record(number) for number in numbers])
    for receipt, number in zip(receipts, numbers, strict=True):
        receipt.check(record(number), ORIGIN, [KEY])


def test_what_is_no_hashedrekord_is_not_sent(lying):
    with pytest.raises(LogError, match=r"hashedrekord 0\.0\.2"):
        lying.client().append([record(500), entry(0)])
    assert lying.asked == []


def test_a_checkpoint_that_is_not_the_logs_is_no_latest(lying):
    assert lying.client().latest() == lying.log.latest()
    for lie in (flipped, lambda _: Answer(200, b""), lambda _: Answer(403, b"")):
        lying.lie = about("/checkpoint", lie)
        with pytest.raises(LogError):
            lying.client().latest()


def test_a_log_of_another_name_or_key_is_refused(lying, tmp_path):
    for key in (VerifierKey.of(ORIGIN, STRANGER), VerifierKey(name="other.example", public_key=KEY.public_key)):
        with pytest.raises(LogError):
            remote_log(lying.url, str(key), tmp_path).append([record(500)])
    with pytest.raises(LogError):
        remote_log(lying.url, str(KEY), tmp_path, log_origin="other.example").append([record(500)])


def test_a_log_that_is_away_is_a_log_error(lying):
    client = lying.client()
    lying.close()
    with pytest.raises(LogError, match="is away"):
        client.append([record(500)])


@pytest.mark.parametrize("vkey", ["", "no-key", str(KEY)[:-1], f"{ORIGIN}+00000000+{str(KEY).split('+', 2)[2]}"])
def test_without_its_key_a_log_is_not_used(tmp_path, vkey):
    with pytest.raises(ConfigError, match="log_key"):
        remote_log("https://log.example", vkey, tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "log.example",
        "http://log.example",
        "https://",
        "https://user@log.example",
        "https://log.example/?a",
        "ftp://x",
        "https://log.example:port",
        "https://[::1",
        "http://127.0.0.1.example",
        "https://log.example/#a",
        "file:///x",
    ],
)
def test_a_url_that_is_none_or_is_plain_is_refused(tmp_path, url):
    with pytest.raises(ConfigError):
        remote_log(url, str(KEY), tmp_path)


@pytest.mark.parametrize(
    "host", ["log2025-1.rekor.sigstore.dev", "sigstore.dev", "REKOR.SIGSTORE.DEV", "rekor.sigstore.dev."]
)
def test_a_public_log_is_refused_unless_it_is_meant(tmp_path, host):
    with pytest.raises(ConfigError, match="allow_public_log"):
        remote_log(f"https://{host}", str(KEY), tmp_path)
    remote_log(f"https://{host}", str(KEY), tmp_path, allow_public_log="true")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://[::1]:1/a", "http://localhost", "https://notsigstore.dev/x/"]
)
def test_this_machine_and_private_logs_are_used(url):
    assert checked_url(url, setting="[atlas] log", public="entries stay there") == url


@pytest.mark.parametrize("content", [None, "", "two words", "x\ny", "tökens"])
def test_a_token_that_is_none_is_a_mistake(tmp_path, content):
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
        path.chmod(0o600)
    with pytest.raises(ConfigError):
        remote_log("https://log.example", str(KEY), tmp_path, log_token_file=str(path))


def test_a_key_for_a_log_of_ones_own_is_a_mistake(tmp_path):
    from airflow_provider_atlas.wiring import logs

    with pytest.raises(ConfigError, match="log_signer"):
        logs.transparency_log(Settings.parse({"log_key": str(KEY)}, home=str(tmp_path)))


@pytest.fixture
def impatient(monkeypatch):
    for name in ("_PUBLISHED_WITHIN", "_STALE_AT_MOST"):
        monkeypatch.setattr(f"airflow_provider_atlas.tlog.backends.rekor_v2.{name}", 0.05)


def another_history(lying, folder, *numbers):
    """Let the log go on from another history, signed by the same key."""
    lying.log = open_log(folder / "another")
    for number in numbers:
        lying.log.append(records(10_000, 10_000 + number))


def ask(log, what):
    return log.append([record(what)]) if what is not None else log.latest()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("what", [500, 40, 10_000, None], ids=["new entry", "old entry", "their entry", "checkpoint"])
@pytest.mark.parametrize("size", [1, 299, 300, 301, 700])
def test_a_log_that_forks_is_refused_by_every_task_of_the_host(lying, tmp_path, what, size):
    lying.client(tmp_path / "seen").append([record(0)])
    another_history(lying, tmp_path, size)
    for _ in range(2):
        with pytest.raises(LogError, match=r"forked|rolled back"):
            ask(lying.client(tmp_path / "seen"), what)
    ask(lying.client(tmp_path / "elsewhere"), what)  # a host that saw nothing cannot tell


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("what", [40, None], ids=["old entry", "checkpoint"])
def test_a_log_that_rolls_back_is_refused(lying, tmp_path, what):
    shown = lying.log.reader.latest().note.to_bytes()
    for number in (500, 501):
        lying.client(tmp_path / "seen").append([record(number)])
    lying.lie = about("/checkpoint", lambda _: Answer(200, shown))
    with pytest.raises(LogError, match="was rolled back: it shows 300 entries, and showed 302 before"):
        ask(lying.client(tmp_path / "seen"), what)
    lying.lie = about("/checkpoint", lambda _: Answer(404, b""))
    with pytest.raises(LogError, match="rolled back" if what is None else "checkpoint that covers"):
        ask(lying.client(tmp_path / "seen"), what)


def test_an_answer_that_is_older_than_what_was_seen_is_refused(lying, tmp_path):
    kept = []
    lying.lie = lambda asked, answer: kept.append(answer) or answer if asked.startswith("POST") else answer
    lying.client().append([record(500)])
    lying.client(tmp_path / "seen").append([record(501)])
    lying.lie = once(lambda _: kept[0])
    with pytest.raises(LogError, match="was rolled back: it shows 301 entries, and showed 302 before"):
        lying.client(tmp_path / "seen").append([record(500)])


def test_a_cache_that_is_some_seconds_behind_is_no_rollback(lying, tmp_path):
    shown = iter([lying.log.reader.latest().note.to_bytes()] * 2)
    lying.client(tmp_path / "seen").append([record(500)])
    lying.lie = about("/checkpoint", lambda answer: Answer(200, next(shown, answer.body)))
    assert lying.client(tmp_path / "seen").latest().size == 301
    assert lying.asked.count("GET /api/v2/checkpoint") == 3


def test_a_log_that_goes_on_is_believed_from_tiles_of_any_width(lying, tmp_path):
    for end in (301, 511, 512, 513, 700):
        lying.log.append(records(300, end))
        assert lying.client(tmp_path / "seen").latest().size == end


def test_tiles_that_prove_nothing_are_refused_and_the_checkpoint_is_kept_as_proof(lying, tmp_path):
    lying.client(tmp_path / "seen").append([record(500)])
    lying.log.append(records(501, 510))
    lying.lie = about("/tile/", flipped)
    with pytest.raises(LogError, match="forked, or serves tiles that are not its own"):
        lying.client(tmp_path / "seen").latest()
    (accused,) = (tmp_path / "seen").glob("*.accused")
    assert accused.read_bytes() == lying.log.reader.latest().note.to_bytes()
    lying.lie = lambda _, answer: answer
    assert lying.client(tmp_path / "seen").latest().size == 310


def test_what_was_seen_is_no_older_checkpoint_of_another_task(lying, tmp_path):
    first, second = lying.client(tmp_path / "seen"), lying.client(tmp_path / "seen")
    for number in range(500, 506):
        (first, second)[number % 2].append([record(number)])
    (kept,) = (path for path in (tmp_path / "seen").iterdir() if not path.suffix)
    assert kept.read_bytes().split(b"\n")[1] == b"306"
