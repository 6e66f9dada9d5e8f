"""The log as a service, over HTTP as strangers speak it: what it takes, what it refuses, what it serves."""

import base64
import http.client
import json
import shutil
import stat
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_atlas.cli.main import main
from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.tlog.backends.service_limits import Rate, Tokens
from airflow_provider_atlas.tlog.checkpoint import SignedCheckpoint
from airflow_provider_atlas.tlog.rekor import LogEntry, request
from tests.support.attested_run import AttestedRun
from tests.support.log_server import LogServer
from tests.support.logs import leaf, record

WRITE = "/api/v2/log/entries"
TOKEN = "a-token-of-the-tests-0123456789"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A service that 40 records were written to, 0 to 39."""
    with LogServer(tmp_path_factory.mktemp("served")) as served:
        served.client().append([record(number) for number in range(40)])
        yield served


def post(server, body, **named):
    return requests.post(server.url + WRITE, data=body, timeout=10, **named)


def get(server, path):
    return requests.get(server.url + path, timeout=10)


def test_what_it_answers_verifies(server):
    answer = post(server, request(leaf(100)))
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    entry = LogEntry.parse(answer.content)
    assert entry.body == record(100)
    assert entry.log_id == server.key.key_hash
    assert entry.receipt.check(record(100), server.key.name, [server.key]).size == entry.receipt.index + 1


def test_an_entry_that_is_there_is_a_conflict_that_names_its_index(server):
    first = LogEntry.parse(post(server, request(leaf(101))).content)
    again = post(server, request(leaf(101)))
    assert again.status_code == 409
    assert again.headers["x-log-index"] == str(first.receipt.index)
    assert again.json()["code"] == 6


def test_the_same_entry_from_many_at_once_is_taken_once(server):
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: post(server, request(leaf(102))), range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    (logged,) = (LogEntry.parse(answer.content) for answer in answers if answer.status_code == 201)
    assert {a.headers["x-log-index"] for a in answers if a.status_code == 409} == {str(logged.receipt.index)}


def hostile():
    good = json.loads(request(leaf(200)))
    inner = good["hashedRekordRequestV002"]
    yield "another signature", {"hashedRekordRequestV002": {**inner, "digest": base64.b64encode(bytes(32)).decode()}}
    yield "a short digest", {"hashedRekordRequestV002": {**inner, "digest": ""}}
    yield "no signature", {"hashedRekordRequestV002": {"digest": inner["digest"]}}
    yield "another member", {**good, "dsseRequestV002": {}}
    yield "another type", {"dsseRequestV002": inner}
    yield "a list", [good]
    verifier = inner["signature"]["verifier"]
    for name, other in {
        "another algorithm": {**verifier, "keyDetails": "PKIX_ED25519"},
        "no key": {**verifier, "publicKey": {"rawBytes": ""}},
        "a key of garbage": {**verifier, "publicKey": {"rawBytes": base64.b64encode(bytes(91)).decode()}},
        "a certificate": {"keyDetails": verifier["keyDetails"], "x509Certificate": verifier["publicKey"]},
    }.items():
        yield name, {"hashedRekordRequestV002": {**inner, "signature": {**inner["signature"], "verifier": other}}}


@pytest.mark.parametrize("document", [pytest.param(each, id=name) for name, each in hostile()])
def test_a_request_that_does_not_verify_is_bad_and_logs_nothing(server, document):
    before = get(server, "/checkpoint").content
    answer = post(server, json.dumps(document).encode())
    assert answer.status_code == 400
    assert answer.json()["code"] == 3
    assert get(server, "/checkpoint").content == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300) | st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode))
def test_whatever_is_posted_is_bad_and_never_an_error(server, body):
    assert post(server, body).status_code == 400


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"a":' * 10_000, b"1" * 60_000, b'"\\ud800"', b"\x00" * 65_536])
def test_what_breaks_parsers_is_bad_and_never_an_error(server, body):
    assert post(server, body).status_code == 400


def test_a_body_that_is_too_big_is_refused(server):
    assert post(server, b"x" * 65_537).status_code == 413
    assert post(server, (b"x" * 1000 for _ in range(70))).status_code == 413  # chunked: no length was told


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_refused(server, method):
    assert requests.request(method, server.url + WRITE, timeout=10).status_code == 405


def test_the_checkpoint_is_served_where_both_kinds_of_clients_look(server):
    for prefix in ("", "/api/v2"):
        answer = get(server, prefix + "/checkpoint")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=1"
        SignedCheckpoint.parse(answer.content).verify(server.key.name, [server.key])


def test_tiles_are_served_for_ever(server):
    for prefix in ("", "/api/v2"):
        for path in ("/tile/0/000.p/40", "/tile/entries/000.p/40"):
            answer = get(server, prefix + path)
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/octet-stream"
            assert "immutable" in answer.headers["cache-control"]
            assert answer.content == (server.home / "log" / path[1:]).read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/001",
        "tile/0/000.p/256",
        "tile/0/00",
        "tile/0/../../checkpoint",
        "tile/",
        "tile/0/%2e%2e/x",
        ".state/lock",
    ],
)
def test_what_is_no_tile_is_not_found_and_not_cached(server, path):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)  # it sends dots as they are
    connection.request("GET", f"/{path}")
    answer = connection.getresponse()
    assert answer.status == 404
    answer.read()
    connection.close()


def test_a_refusal_is_not_cached(server):
    assert get(server, "/tile/0/001").headers["cache-control"] == "no-store"


def test_it_tells_its_health_and_its_numbers(server):
    assert get(server, "/healthz").json() == {"status": "SERVING"}
    requests.delete(server.url + "/healthz", timeout=10)
    answer = get(server, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    numbers = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert int(numbers["atlas_log_entries"]) >= 40
    assert int(numbers['atlas_log_requests_total{method="POST",code="201"}']) >= 40
    assert int(numbers['atlas_log_requests_total{method="other",code="405"}']) >= 1
    assert int(numbers["atlas_log_commits_total"]) <= int(numbers["atlas_log_entries"])


def tokens_file(folder):
    path = folder / "tokens"
    path.write_text(f"# who may write\n{'x' * 40}\n{TOKEN}\n")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A service that asks for tokens, over TLS, and lets few in."""
    folder = tmp_path_factory.mktemp("guarded")
    certificate, key = folder / "tls.crt", folder / "tls.key"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *subject]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    arguments = ["--tls-cert", certificate, "--tls-key", key, "--tokens", tokens_file(folder)]
    with LogServer(folder / "home", *arguments, "--max-body", "600", "--max-rate", "20") as served:
        served.certificate = str(certificate)
        yield served


def guarded_post(guarded, body, token):
    headers = {"Authorization": token} if token else {}
    return post(guarded, body, headers=headers, verify=guarded.certificate)


@pytest.mark.parametrize(
    ("token", "status"),
    [
        (None, 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Bearer wrong", 403),
        (f"Bearer {TOKEN[:-1]}", 403),
        (f"Bearer {TOKEN}x", 403),
        ("Bearer # who may write", 403),
        ("Bearer \xff\xfe", 403),
    ],
)
def test_who_bears_no_token_may_not_write(guarded, token, status):
    answer = guarded_post(guarded, request(leaf(0)), token and token.encode("latin-1"))
    assert answer.status_code == status
    assert (status == 401) == ("www-authenticate" in answer.headers)


def test_who_bears_a_token_may_write_and_all_may_read(guarded):
    assert guarded_post(guarded, request(leaf(1)), f"Bearer {TOKEN}").status_code == 201
    assert requests.get(guarded.url + "/checkpoint", timeout=10, verify=guarded.certificate).status_code == 200


def test_the_limit_on_bodies_is_the_operators(guarded):
    assert guarded_post(guarded, b"x" * 601, f"Bearer {TOKEN}").status_code == 413


def test_who_writes_too_fast_is_told_to_wait(guarded):
    with requests.Session() as session:
        named = {"headers": {"Authorization": f"Bearer {TOKEN}"}, "verify": guarded.certificate, "timeout": 10}
        answers = [session.post(guarded.url + WRITE, data=b"{}", **named) for _ in range(60)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert {answer.status_code for answer in answers} == {400, 429}
    assert all(answer.headers["retry-after"] == "1" for answer in refused)


def test_a_client_with_the_token_gets_its_receipts(guarded, tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", guarded.certificate)
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    time.sleep(1)  # the test before this one may have used up the rate
    (receipt,) = guarded.client(log_token_file=str(token)).append([record(2)])
    receipt.check(record(2), guarded.key.name, [guarded.key])


def test_a_rate_lets_bursts_through_and_fills_again():
    now = [0.0]
    rate = Rate(2, clock=lambda: now[0])
    assert [rate.admits() for _ in range(3)] == [True, True, False]
    now[0] += 0.5
    assert [rate.admits() for _ in range(2)] == [True, False]
    now[0] += 60
    assert [rate.admits() for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("text", ["", "# nothing\n", "short\n", "x" * 30 + " " + "y" * 30, TOKEN + "\nshort"])
def test_tokens_that_can_be_guessed_are_refused(text):
    with pytest.raises(ConfigError):
        Tokens(text)


def test_a_token_file_that_others_can_read_is_refused(tmp_path, atlas_command):
    path = tokens_file(tmp_path)
    path.chmod(0o644)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    code, said = atlas_command("log", "serve", "--home", tmp_path / "home", "--tokens", path)
    assert code == 2
    assert "chmod 600" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["--host", "0.0.0.0"],
        ["--host", "0.0.0.0", "--tokens", "TOKENS"],
        ["--host", "::", "--behind-proxy"],
        ["--tls-cert", "TOKENS"],
        ["--tls-cert", "TOKENS", "--tls-key", "TOKENS"],
        ["--max-body", "0"],
        ["--port", "70000"],
        ["--host", "203.0.113.1", "--tokens", "TOKENS", "--behind-proxy"],
        ["--tokens", "/nowhere"],
    ],
)
def test_what_would_expose_or_cannot_be_served_is_a_mistake(tmp_path, atlas_command, arguments):
    tokens = str(tokens_file(tmp_path))
    named = [tokens if each == "TOKENS" else each for each in arguments]
    code, said = atlas_command("log", "serve", "--home", tmp_path / "home", *named)
    assert code == 2
    assert said.count("\n") == 1


@pytest.fixture
def atlas_command(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "no-airflow"))

    def run(*arguments):
        code = main([str(each) for each in arguments])
        return code, capsys.readouterr().err

    return run


def test_what_was_asked_before_it_stops_is_answered(tmp_path):
    started = threading.Barrier(17)

    def write(number):
        started.wait()
        return post(served, request(leaf(number))).status_code

    with LogServer(tmp_path) as served, ThreadPoolExecutor(16) as threads:
        answers = [threads.submit(write, number) for number in range(16)]
        started.wait()
        time.sleep(0.02)
        assert served.stop() == 0
        outcomes = [None if answer.exception() else answer.result() for answer in answers]
    assert set(outcomes) <= {201, None}  # whoever came too late found nobody; nobody was cut off in between
    with LogServer(tmp_path) as served:
        latest = served.client().latest()
        assert (latest.size if latest else 0) == outcomes.count(201)


def test_a_run_that_was_logged_by_the_service_verifies_as_any_other(tmp_path):
    with LogServer(tmp_path / "served") as served:
        section = {"log": f"rekor-v2:{served.url}", "log_key": served.vkey}
        run = AttestedRun(tmp_path / "worker", **section).complete()
    # The service is gone: what it said then is checked offline, and its key was never on the worker.
    assert run.verify().verdict == "passed"
    assert not (tmp_path / "worker" / "keys" / "log.pem").exists()


def test_a_doctor_looks_at_the_log_where_it_is(server, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "no-airflow"))
    monkeypatch.setenv("AIRFLOW__ATLAS__LOG", f"rekor-v2:{server.url}")
    monkeypatch.setenv("AIRFLOW__ATLAS__LOG_KEY", server.vkey)
    assert main(["doctor", "--home", str(tmp_path / "home")]) == 0
    assert f"{server.url}, " in capsys.readouterr().out
    monkeypatch.setenv("AIRFLOW__ATLAS__LOG_KEY", "")
    assert main(["doctor", "--home", str(tmp_path / "home")]) == 2
    assert "log_key" in capsys.readouterr().out


def test_a_log_that_cannot_be_written_is_unavailable_and_its_operator_learns_why(tmp_path, capfd):
    with LogServer(tmp_path) as served:
        shutil.rmtree(tmp_path / "log" / ".state")
        answer = post(served, request(leaf(0)))
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert str(tmp_path) not in answer.text
        assert get(served, "/healthz").status_code == 200
    assert f"cannot append to the log in {tmp_path}/log" in capfd.readouterr().err
