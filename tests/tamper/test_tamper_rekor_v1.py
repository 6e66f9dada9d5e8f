"""Rekor v1 that lies, in one way at a time; and records that claim to be in such a log, or in another kind of one."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_atlas.errors import ConfigError, InclusionError, LogError, SignatureError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tlog.note import ECDSA, VerifierKey
from airflow_provider_atlas.tlog.rekor_v1 import Promise
from airflow_provider_atlas.tlog.trust import TrustedLog
from airflow_provider_atlas.wiring import logs
from tests.support.attested_run import AttestedRun
from tests.support.logs import entry, record
from tests.support.rekor_v1 import HOST, ORIGIN, TREE, Answer, RekorV1, spki_of

KEY = ec.derive_private_key(11, ec.SECP256R1())


@pytest.fixture
def log() -> Iterator[RekorV1]:
    with RekorV1(KEY) as server:
        server.lie = lambda _, answer: answer
        yield server


def about(part, lie):
    return lambda asked, answer: lie(answer) if part in asked else answer


def member(*path, to):
    """Change what is said of an entry."""

    def change(answer):
        said = json.loads(answer.body)
        (holder,) = said.values()
        for name in path[:-1]:
            holder = holder[name]
        holder[path[-1]] = to(holder[path[-1]]) if callable(to) else to
        return Answer.json(answer.status, said, **answer.headers)

    return change


def renamed(answer):
    (said,) = json.loads(answer.body).values()
    return Answer.json(answer.status, {"00" * 32: said})


def twice(answer):
    said = json.loads(answer.body)
    return Answer.json(answer.status, {**said, "00" * 40: {}})


PROOF = ("verification", "inclusionProof")
LIES = {
    "another index": member(*PROOF, "logIndex", to=1),
    "another index across its trees": member("logIndex", to=7),
    "another time": member("integratedTime", to=lambda time: time - 3600),
    "a negative time": member("integratedTime", to=-1),
    "a promise that is none": member("verification", "signedEntryTimestamp", to="AAAA"),
    "a promise of no text": member("verification", "signedEntryTimestamp", to=7),
    "the id of another log": member("logID", to="00" * 32),
    "another body": member("body", to="e30="),
    "a wrong root": member(*PROOF, "rootHash", to="00" * 32),
    "a wrong size": member(*PROOF, "treeSize", to=9),
    "a longer proof": member(*PROOF, "hashes", to=lambda hashes: [*hashes, "00" * 32]),
    "a checkpoint of another origin": member(*PROOF, "checkpoint", to=lambda note: note.replace(str(TREE), "1")),
    "a checkpoint without a signature": member(*PROOF, "checkpoint", to=lambda note: note.partition("\n\n")[0]),
    "another line in the checkpoint": member(*PROOF, "checkpoint", to=lambda note: note.replace("Timestamp", "Time")),
    "no proof": member("verification", to={}),
    "the name of another entry": renamed,
    "two entries": twice,
    "no entry": lambda _: Answer.json(201, {}),
    "nothing": lambda _: Answer(201, b"", {}),
    "accepted, later": lambda answer: answer._replace(status=202),
    "somebody else's address": lambda _: Answer(307, b"", {"Location": "/api/v1/log"}),
    "an answer without end": lambda _: Answer(201, b" " * (3 << 20), {}),
    "a conflict without an address": lambda _: Answer(409, b"", {}),
    "a conflict with another entry": lambda _: Answer(409, b"", {"Location": "/api/v1/log/entries/" + "00" * 40}),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_about_a_new_entry_is_refused(log: RekorV1, tmp_path: Path, name: str):
    log.client(tmp_path).append([record(0), record(1), record(2)])
    log.lie = about("POST", LIES[name])
    with pytest.raises(LogError):
        log.client(tmp_path).append([record(5)])


@pytest.mark.parametrize("name", list(LIES)[:16])
def test_a_lie_about_an_old_entry_is_refused(log: RekorV1, tmp_path: Path, name: str):
    for number in (5, 1, 2):
        log.client(tmp_path).append([record(number)])
    log.lie = about("GET", LIES[name])
    with pytest.raises(LogError):
        log.client(tmp_path).append([record(5)])


def test_without_lies_it_is_believed_and_no_envelope_is_sent(log: RekorV1, tmp_path: Path):
    for _ in range(2):  # new, and then there already
        (receipt,) = log.client(tmp_path).append([record(5)])
        assert log.trusted.check(receipt, record(5)).origin == ORIGIN
        assert Promise.parse(receipt.extra).index == 1000
    assert log.asked[-1].startswith("GET /api/v1/log/entries/")


def test_a_conflict_at_another_host_is_not_followed(log: RekorV1, tmp_path: Path):
    log.client(tmp_path).append([record(5)])
    log.lie = lambda asked, answer: (
        answer._replace(headers={"Location": "http://192.0.2.1" + answer.headers["Location"]})
        if asked.startswith("POST")
        else answer
    )
    log.client(tmp_path).append([record(5)])
    assert log.asked[-1].startswith("GET /api/v1/log/entries/")


def test_a_log_that_gives_no_promise_is_believed_for_its_proof(tmp_path: Path):
    with RekorV1(promises=False) as log:
        (receipt,) = log.client(tmp_path).append([record(5)])
        assert receipt.extra == b""
        log.trusted.check(receipt, record(5))


@pytest.mark.parametrize("what", ["entry", "head"])
@pytest.mark.parametrize("size", [0, 1, 4, 5, 9])
def test_a_log_that_forks_or_rolls_back_is_refused_by_every_task_of_the_host(
    log: RekorV1, tmp_path: Path, what: str, size: int
):
    for number in range(5):
        log.client(tmp_path).append([record(number)])
    log.forget(0)
    for number in range(100, 100 + size):
        log.client(tmp_path / "elsewhere" / str(number)).append([record(number)])
    for _ in range(2):
        client = log.client(tmp_path)
        with pytest.raises(LogError, match=r"forked|rolled back"):
            client.append([record(50)]) if what == "entry" else client.latest()


def test_a_log_that_goes_on_is_believed(log: RekorV1, tmp_path: Path):
    for number in range(7):
        log.client(tmp_path / str(number % 2)).append([record(number)])
    assert log.client(tmp_path / "0").latest() == log.client(tmp_path / "1").latest()


@pytest.mark.parametrize(
    "lie",
    [
        lambda _: Answer(500, b"", {}),
        lambda _: Answer.json(200, {"hashes": []}),
        lambda _: Answer.json(200, {"hashes": ["00" * 32] * 3}),
        lambda _: Answer.json(200, {"hashes": ["00" * 32] * 64}),
        lambda _: Answer.json(200, {"hashes": [7]}),
        lambda _: Answer(200, b"", {}),
    ],
    ids=range(6),
)
def test_a_log_that_proves_nothing_is_refused(log: RekorV1, tmp_path: Path, lie):
    log.client(tmp_path).append([record(0), record(1), record(2)])
    log.lie = about("/log/proof", lie)
    with pytest.raises(LogError):
        log.client(tmp_path).append([record(5)])


def test_a_head_that_is_not_the_logs_is_no_latest(log: RekorV1, tmp_path: Path):
    log.client(tmp_path).append([record(0)])
    for lie in (
        lambda answer: answer._replace(body=answer.body.replace(HOST.encode(), b"other.example")),
        lambda answer: answer._replace(body=b"{}"),
        lambda answer: answer._replace(status=403),
    ):
        log.lie = about("/api/v1/log", lie)
        with pytest.raises(LogError):
            log.client(tmp_path).latest()


def test_what_is_no_hashedrekord_is_not_sent(log: RekorV1, tmp_path: Path):
    with pytest.raises(LogError, match="takes hashedrekords alone"):
        log.client(tmp_path).append([record(0), entry(0)])
    assert log.asked == []


@pytest.mark.parametrize("origin", ["", HOST, f"{HOST} - ", f"{HOST} - tree", f"{HOST} {TREE}"])
def test_without_the_id_of_its_tree_a_log_is_not_used(log: RekorV1, tmp_path: Path, origin: str):
    with pytest.raises(ConfigError, match="host - tree id"):
        log.client(tmp_path, log_origin=origin)


def test_a_public_log_is_not_reached_by_accident(log: RekorV1, tmp_path: Path):
    section = {"log": "rekor-v1:https://rekor.sigstore.dev", "log_key": str(log.key), "log_origin": ORIGIN}
    with pytest.raises(ConfigError, match="is public"):
        logs.transparency_log(Settings.parse(section, home=str(tmp_path)))
    logs.transparency_log(Settings.parse({**section, "allow_public_log": "true"}, home=str(tmp_path)))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttestedRun]:
    with RekorV1(KEY) as server:
        section = {"log": f"rekor-v1:{server.url}", "log_key": str(server.key), "log_origin": ORIGIN}
        yield AttestedRun(tmp_path_factory.mktemp("attested"), **section).complete()


def edited(run: AttestedRun, **changes: str | None) -> bytes:
    document = yaml.safe_load(run.policy_document())
    (item,) = document["logs"]
    item.update(changes)
    document["logs"] = [{name: value for name, value in item.items() if value is not None}]
    return yaml.safe_dump(document).encode()


def test_a_run_in_rekor_v1_verifies_by_a_policy_that_says_so(run: AttestedRun):
    assert yaml.safe_load(run.policy_document())["logs"][0]["entries"] == "hashedrekord 0.0.1"
    assert run.verify(run.policy_document()).verdict == "passed"


@pytest.mark.parametrize(
    "changes",
    [
        {"entries": None},
        {"entries": "hashedrekord 0.0.2"},
        {"origin": f"{HOST} - 1"},
        {"key": str(VerifierKey(name=HOST, public_key=spki_of(ec.derive_private_key(12, ec.SECP256R1())), kind=ECDSA))},
    ],
    ids=["no word of its entries", "entries of Rekor v2", "another tree", "another key"],
)
def test_it_does_not_verify_by_any_other(run: AttestedRun, changes: dict[str, str | None]):
    report = run.verify(edited(run, **changes))
    assert report.verdict != "passed"


def test_a_leaf_of_rekor_v2_in_a_log_of_rekor_v1_proves_nothing(log: RekorV1, tmp_path: Path):
    (receipt,) = log.client(tmp_path).append([record(5)])
    other = TrustedLog(origin=ORIGIN, key=log.key)
    with pytest.raises(InclusionError):
        other.check(receipt, record(5))
    ours = dataclasses.replace(receipt, extra=b"")
    assert other.check(ours, log.trusted.leaf(record(5)))  # as who takes its leaves for whatever bytes
    with pytest.raises(InclusionError):
        log.trusted.check(ours, record(6))


def test_a_promise_of_another_time_or_entry_spoils_the_receipt(log: RekorV1, tmp_path: Path):
    one, other = (log.client(tmp_path).append([record(number)])[0] for number in (5, 6))
    promise = Promise.parse(one.extra)
    for wrong in (
        other.extra,
        dataclasses.replace(promise, time=promise.time + 1).to_bytes(),
        dataclasses.replace(promise, index=promise.index + 1).to_bytes(),
    ):
        with pytest.raises(SignatureError):
            log.trusted.check(dataclasses.replace(one, extra=wrong), record(5))
