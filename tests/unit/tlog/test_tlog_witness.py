"""A witness: what it refuses, what it keeps, and what it says over HTTP."""

import fcntl
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from airflow_provider_atlas import merkle
from airflow_provider_atlas.errors import ConfigError, LogError, MalformedError
from airflow_provider_atlas.tlog.backends import witness_folder
from airflow_provider_atlas.tlog.backends.witness_folder import ALGORITHMS, Answer, WitnessFolder
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.cosignature import cosigned
from airflow_provider_atlas.tlog.note import NoteSignature, SignedNote, sign
from airflow_provider_atlas.tlog.witness import AddCheckpoint, origin_id, parse_lines
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY, entry
from tests.support.witness_servers import serving
from tests.support.witnesses import NOW

NAME = "witness.example"
LEAVES = [merkle.leaf_hash(entry(number)) for number in range(20)]
NODE = merkle.nodes_of(LEAVES)
FORKED = merkle.nodes_of([*LEAVES[:5], *LEAVES[6:]])


def note_of(size: int, node: merkle.Node = NODE) -> SignedNote:
    text = Checkpoint(origin=ORIGIN, size=size, root=merkle.root(size, node)).to_text()
    return sign(text, ORIGIN, SIGNING_KEY)


def asked(old: int, size: int, node: merkle.Node = NODE) -> AddCheckpoint:
    return AddCheckpoint(old=old, proof=merkle.consistency_proof(min(old, size), size, node), note=note_of(size, node))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    witness_folder.create(tmp_path / "witness", NAME, ALGORITHMS)
    return tmp_path / "witness"


@pytest.fixture
def witness(folder: Path) -> WitnessFolder:
    return WitnessFolder(folder, {ORIGIN: [KEY]})


def told(witness: WitnessFolder, request: AddCheckpoint, now: int = NOW) -> Answer:
    return witness.add_checkpoint(request.to_bytes(), now)


def test_a_witness_cosigns_with_each_of_its_keys_what_grows(witness: WitnessFolder):
    keys = [cosigner.verifier_key for cosigner in witness.cosigners]
    for old, size in ((0, 3), (3, 3), (3, 8), (8, 20)):
        answer = told(witness, asked(old, size))
        assert answer.status == 200
        lines = parse_lines(answer.body)
        assert set(cosigned(SignedNote(text=note_of(size).text, signatures=lines), keys)) == set(keys)


def test_a_witness_cosigns_the_empty_log(witness: WitnessFolder):
    assert told(witness, asked(0, 0)).status == 200
    assert told(witness, asked(0, 7)).status == 200


def test_a_size_that_is_not_the_last_one_is_answered_with_that(witness: WitnessFolder):
    told(witness, asked(0, 8))
    for old, size in ((0, 8), (3, 9), (9, 12), (0, 3)):
        answer = told(witness, asked(old, size))
        assert (answer.status, answer.body, answer.content_type) == (409, b"8\n", "text/x.tlog.size")


def test_a_rollback_is_refused(witness: WitnessFolder):
    told(witness, asked(0, 8))
    assert told(witness, asked(8, 8)).status == 200
    assert told(witness, replace(asked(3, 3), old=8)).status == 400
    assert told(witness, asked(3, 3)).status == 409


def test_a_fork_is_refused(witness: WitnessFolder):
    told(witness, asked(0, 8))
    assert told(witness, asked(8, 8, FORKED)).status == 409
    assert told(witness, asked(8, 12, FORKED)).status == 422
    assert told(witness, asked(8, 12)).status == 200


@pytest.mark.parametrize("proof", [(), (bytes(32),), tuple([bytes(32)] * 63)])
def test_a_wrong_proof_is_refused(witness: WitnessFolder, proof: tuple[bytes, ...]):
    told(witness, asked(0, 5))
    assert told(witness, replace(asked(5, 12), proof=proof)).status == 422


def test_a_proof_from_nothing_must_be_empty(witness: WitnessFolder):
    assert told(witness, replace(asked(0, 5), proof=(bytes(32),))).status == 422


def test_a_log_that_is_not_known_is_refused(folder: Path):
    assert told(WitnessFolder(folder, {}), asked(0, 5)).status == 404


@pytest.mark.parametrize("forge", ["signature", "name"])
def test_a_checkpoint_that_the_log_did_not_sign_is_refused(witness: WitnessFolder, forge: str):
    request = asked(0, 5)
    line = request.note.signatures[0]
    forged = replace(line, signature=bytes(64)) if forge == "signature" else replace(line, name="other.example")
    note = SignedNote(text=request.note.text, signatures=(forged,))
    assert told(witness, replace(request, note=note)).status == 403


@pytest.mark.parametrize("body", [b"", b"old 0\n\n", b"old 00\n\n" + note_of(3).to_bytes(), b"\xff" * 200_000])
def test_what_is_no_request_is_refused(witness: WitnessFolder, body: bytes):
    assert witness.add_checkpoint(body, NOW).status == 400


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"old 3", b"old 03"),
        lambda data: data.replace(b"old 3", b"old  3"),
        lambda data: data.replace(b"old 3", b"old 9223372036854775808"),
        lambda data: data.replace(b"old 3\n", b"old 3\n" + b"A" * 43 + b"=\n" * 64),
        lambda data: data.replace(b"=\n", b"\n", 1),
        lambda data: data.replace(b"\n\n", b"\n", 1),
        lambda data: data.replace(b"\n", b"\r\n", 1),
    ],
)
def test_everything_but_the_one_spelling_of_a_request_is_malformed(change):
    data = asked(3, 8).to_bytes()
    assert AddCheckpoint.parse(data).to_bytes() == data
    with pytest.raises(MalformedError):
        AddCheckpoint.parse(change(data))


def test_what_was_cosigned_survives_a_restart(folder: Path, witness: WitnessFolder):
    told(witness, asked(0, 8))
    again = WitnessFolder(folder, {ORIGIN: [KEY]})
    assert told(again, asked(0, 3)).status == 409
    kept = SignedCheckpoint.parse(again.checkpoint(origin_id(ORIGIN)) or b"")
    assert kept.verify(ORIGIN, [KEY]).size == 8
    assert len(cosigned(kept.note, [cosigner.verifier_key for cosigner in again.cosigners])) == 2


def test_a_clock_that_goes_back_does_not_date_a_larger_tree_before_a_smaller_one(witness: WitnessFolder):
    told(witness, asked(0, 3), now=NOW)
    keys = [cosigner.verifier_key for cosigner in witness.cosigners]
    note = note_of(8)
    lines = parse_lines(told(witness, asked(3, 8), now=NOW - 3600).body)
    assert set(cosigned(SignedNote(text=note.text, signatures=lines), keys).values()) == {NOW}


def test_lines_of_strangers_are_not_kept(witness: WitnessFolder):
    request = asked(0, 3)
    stranger = NoteSignature(name="stranger.example", key_id=b"1234", signature=b"x" * 64)
    note = SignedNote(text=request.note.text, signatures=(stranger, *request.note.signatures))
    assert told(witness, replace(request, note=note)).status == 200
    assert b"stranger" not in (witness.checkpoint(origin_id(ORIGIN)) or b"")


@pytest.mark.parametrize("content", [b"", b"nothing\n", note_of(3).to_bytes()], ids=["empty", "no note", "not ours"])
def test_a_damaged_memory_is_not_taken_for_none(folder: Path, witness: WitnessFolder, content: bytes):
    told(witness, asked(0, 8))
    (folder / "logs" / origin_id(ORIGIN) / "checkpoint").write_bytes(content)
    with pytest.raises(LogError):
        told(witness, asked(0, 3))


def test_a_witness_is_not_made_over_another(folder: Path):
    with pytest.raises(ConfigError):
        witness_folder.create(folder, NAME, ALGORITHMS)


@pytest.mark.parametrize("lost", ["witness.json", "logs", "ed25519.pem"])
def test_a_witness_that_lost_something_does_not_start(folder: Path, lost: str):
    path = folder / lost
    path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(ConfigError):
        WitnessFolder(folder, {ORIGIN: [KEY]})


def test_a_witness_with_another_key_does_not_start(folder: Path, tmp_path: Path):
    witness_folder.create(tmp_path / "other", NAME, ALGORITHMS)
    (tmp_path / "other" / "ed25519.pem").replace(folder / "ed25519.pem")
    with pytest.raises(ConfigError):
        WitnessFolder(folder, {ORIGIN: [KEY]})


def test_no_witness_is_made_in_a_name_that_is_none(tmp_path: Path):
    with pytest.raises(ConfigError):
        witness_folder.create(tmp_path / "new", "a name", ALGORITHMS)


def test_keys_are_for_their_owners_eyes(folder: Path):
    assert {path.stat().st_mode & 0o777 for path in folder.glob("*.pem")} == {0o600}
    assert folder.stat().st_mode & 0o077 == 0


def test_of_many_that_ask_at_once_about_two_histories_one_is_cosigned(folder: Path):
    answers: list[tuple[bool, int]] = []

    def ask(node: merkle.Node) -> None:
        answer = told(WitnessFolder(folder, {ORIGIN: [KEY]}), asked(0, 12, node))
        answers.append((node is NODE, answer.status))

    threads = [threading.Thread(target=ask, args=(node,)) for node in (NODE, FORKED) * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({honest for honest, status in answers if status == 200}) == 1
    assert {status for _, status in answers} == {200, 409}


def test_nothing_is_cosigned_while_another_process_cosigns(folder: Path, witness: WitnessFolder):
    with (folder / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        asker = threading.Thread(target=told, args=(witness, asked(0, 3)))
        asker.start()
        asker.join(timeout=0.2)
        assert asker.is_alive()
        assert witness.checkpoint(origin_id(ORIGIN)) is None
        fcntl.flock(lock, fcntl.LOCK_UN)
        asker.join()
    assert witness.checkpoint(origin_id(ORIGIN))


@pytest.mark.parametrize("prefix", ["", "/w"])
def test_a_witness_serves_both_of_its_paths(witness: WitnessFolder, prefix: str):
    with serving(witness, prefix) as url, requests.Session() as session:
        assert session.get(f"{url}/{origin_id(ORIGIN)}/checkpoint", timeout=5).status_code == 404
        answer = session.post(f"{url}/add-checkpoint", data=asked(0, 3).to_bytes(), timeout=5)
        assert answer.status_code == 200
        assert parse_lines(answer.content)
        answer = session.post(f"{url}/add-checkpoint", data=asked(0, 3).to_bytes(), timeout=5)
        assert (answer.status_code, answer.headers["Content-Type"]) == (409, "text/x.tlog.size")
        seen = session.get(f"{url}/{origin_id(ORIGIN)}/checkpoint", timeout=5)
        assert seen.content == witness.checkpoint(origin_id(ORIGIN))


@pytest.mark.parametrize(
    "path", ["/", "/checkpoint", "/../witness.json", "/witness.json", "//checkpoint", "/x/checkpoint"]
)
def test_a_witness_serves_nothing_else(witness: WitnessFolder, path: str):
    told(witness, asked(0, 3))
    with serving(witness) as url, requests.Session() as session:
        request = requests.Request("GET", url).prepare()
        request.url = url + path
        assert session.send(request, timeout=5).status_code == 404
        assert session.post(f"{url}/other", data=b"x", timeout=5).status_code == 404


def test_a_request_without_an_end_or_without_a_measure_is_refused(witness: WitnessFolder):
    with serving(witness) as url:
        assert requests.post(f"{url}/add-checkpoint", data=iter([b"old"]), timeout=5).status_code == 411
        assert requests.post(f"{url}/add-checkpoint", data=b"x" * 200_000, timeout=5).status_code == 413


def test_a_witness_in_trouble_says_so_and_nothing_more(folder: Path, witness: WitnessFolder):
    told(witness, asked(0, 8))
    (folder / "logs" / origin_id(ORIGIN) / "checkpoint").write_bytes(b"")
    with serving(witness) as url:
        answer = requests.post(f"{url}/add-checkpoint", data=asked(8, 9).to_bytes(), timeout=5)
    assert answer.status_code == 500
    assert str(folder) not in answer.text
