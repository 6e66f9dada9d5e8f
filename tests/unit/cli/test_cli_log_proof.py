"""``atlas log proof`` and ``atlas log audit``, over a folder and over HTTP; and ``atlas log witness``, as a process."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from airflow_provider_atlas.tlog.cosignature import COSIGNER_KINDS
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.witness import AddCheckpoint, origin_id, parse_lines
from tests.support.logs import KEY, ORIGIN, entries, entry, open_log, served
from tests.support.witnesses import W1, W2, cosigned_by, policy_text


@pytest.fixture(params=["folder", "http"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    open_log(tmp_path / "log").append(entries(0, 300))
    if request.param == "folder":
        yield str(tmp_path / "log")
    else:
        with served(tmp_path / "log") as url:
            yield url


def test_a_log_is_audited_wherever_it_is(atlas, place: str, tmp_path: Path):
    answer = atlas("log", "audit", place, "--key", KEY, "--json")
    assert (answer.code, answer.document["size"], answer.document["tiles"]) == (0, 300, 5)
    bundle = tmp_path / "log" / "tile" / "entries" / "000"
    bundle.write_bytes(bundle.read_bytes().replace(b"entry 7 ", b"entry 8 "))
    assert atlas("log", "audit", place, "--key", KEY).code == 1
    bundle.unlink()
    assert atlas("log", "audit", place, "--key", KEY).code == 3


def test_partial_tiles_that_were_replaced_are_read_off_the_full_ones(atlas, place: str, tmp_path: Path):
    old = (tmp_path / "log" / "checkpoint").read_bytes()
    open_log(tmp_path / "log").append(entries(300, 520))
    (tmp_path / "log" / "checkpoint").write_bytes(old)
    assert atlas("log", "audit", place, "--key", KEY, "--json").document["size"] == 300


@pytest.mark.parametrize("index", [0, 255, 256, 299])
def test_a_proof_by_index_holds(atlas, place: str, tmp_path: Path, index: int):
    out, kept = tmp_path / "it.tlog-proof", tmp_path / "entry"
    answer = atlas(
        "log", "proof", "make", place, "--key", KEY, "--index", index, "--out", out, "--entry-out", kept, "--json"
    )
    assert (answer.code, answer.document["index"], answer.document["origin"]) == (0, index, ORIGIN)
    assert kept.read_bytes() == entry(index)
    Receipt.parse(out.read_bytes()).check(entry(index), ORIGIN, [KEY])
    assert atlas("log", "proof", "check", out, "--key", KEY, "--entry", kept, "--json").document == answer.document


def test_a_proof_by_entry_finds_it(atlas, place: str, tmp_path: Path):
    (tmp_path / "entry").write_bytes(entry(277))
    out = tmp_path / "it.tlog-proof"
    answer = atlas("log", "proof", "make", place, "--key", KEY, "--entry", tmp_path / "entry", "--out", out, "--json")
    assert (answer.code, answer.document["index"]) == (0, 277)
    (tmp_path / "entry").write_bytes(b"never logged")
    answer = atlas("log", "proof", "make", place, "--key", KEY, "--entry", tmp_path / "entry", "--out", tmp_path / "no")
    assert answer.code == 3
    assert not (tmp_path / "no").exists()


def test_a_proof_of_a_record_is_made_and_checked_by_its_bundle_or_its_envelope(atlas, attested, tmp_path: Path):
    bundle = attested.run_folder / "tasks" / "ingest" / "1.bundle.json"
    key = attested.worker.sealer.log.key
    out = tmp_path / "it.tlog-proof"
    made = atlas("log", "proof", "make", attested.folder / "log", "--key", key, "--bundle", bundle, "--out", out)
    assert made.code == 0
    assert atlas("log", "proof", "check", out, "--key", key, "--bundle", bundle).code == 0
    assert atlas("log", "proof", "check", out, "--key", key, "--bundle", bundle, "--role", "provenance").code == 1
    assert atlas("log", "proof", "check", out, "--key", key, "--bundle", bundle, "--role", "manifest").code == 2
    envelope, signer = tmp_path / "envelope", tmp_path / "signer"
    envelope.write_text(json.dumps(json.loads(bundle.read_bytes())["envelopes"]["link"]))
    signer.write_text(attested.worker.sealer.signer.public_key.pem)
    arguments = ("log", "proof", "check", out, "--key", key, "--envelope", envelope)
    assert atlas(*arguments, "--signer", signer).code == 0
    assert atlas(*arguments).code == 2


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    (receipt,) = open_log(tmp_path / "log").append([entry(0)])
    witnessed = Receipt(index=0, hashes=receipt.hashes, note=cosigned_by(receipt.note, W1))
    (tmp_path / "it.tlog-proof").write_bytes(witnessed.to_bytes())
    (tmp_path / "entry").write_bytes(entry(0))
    return tmp_path / "it.tlog-proof"


def test_a_proof_is_checked_against_a_quorum(atlas, proof: Path, tmp_path: Path):
    policy, arguments = tmp_path / "policy", ("log", "proof", "check", proof, "--entry", tmp_path / "entry")
    policy.write_text(f"log {KEY}\n{policy_text([W1, W2], 1)}")
    assert atlas(*arguments, "--witnesses", policy).code == 0
    policy.write_text(f"log {KEY}\n{policy_text([W1, W2], 2)}")
    answer = atlas(*arguments, "--witnesses", policy)
    assert (answer.code, answer.out) == (1, "")
    assert "of its 2 witnesses 1 did" in answer.err
    policy.write_text(policy_text([W1], 1))
    assert atlas(*arguments, "--witnesses", policy).code == 2
    assert atlas(*arguments, "--witnesses", policy, "--key", KEY).code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--key", KEY],
        ["--key", "x", "--entry", "E"],
        ["--entry", "E"],
        ["--key", KEY, "--entry", "E", "--bundle", "E"],
    ],
)
def test_a_check_without_what_it_needs_is_a_mistake(atlas, proof: Path, tmp_path: Path, arguments: list[object]):
    given = [tmp_path / "entry" if argument == "E" else argument for argument in arguments]
    assert atlas("log", "proof", "check", proof, *given).code == 2


def test_a_proof_of_another_entry_log_or_form_is_refused(atlas, proof: Path, tmp_path: Path):
    other = tmp_path / "other"
    other.write_bytes(entry(1))
    assert atlas("log", "proof", "check", proof, "--key", KEY, "--entry", other).code == 1
    assert atlas("log", "proof", "check", other, "--key", KEY, "--entry", other).code == 1
    stranger = VerifierKey(name="other.example", public_key=KEY.public_key)
    assert atlas("log", "proof", "check", proof, "--key", stranger, "--entry", tmp_path / "entry").code == 1


@pytest.mark.parametrize("arguments", [[], ["--index", -1], ["--index", 0, "--entry", "x"]])
def test_a_proof_of_what_is_not_one_entry_is_a_mistake(atlas, tmp_path: Path, arguments: list[object]):
    open_log(tmp_path / "log").append([entry(0)])
    (tmp_path / "x").write_bytes(entry(0))
    given = [tmp_path / "x" if argument == "x" else argument for argument in arguments]
    answer = atlas("log", "proof", "make", tmp_path / "log", "--key", KEY, *given, "--out", tmp_path / "out")
    assert (answer.code, (tmp_path / "out").exists()) == (2, False)


def test_an_entry_beyond_the_log_is_not_proved(atlas, tmp_path: Path):
    open_log(tmp_path / "log").append([entry(0)])
    answer = atlas("log", "proof", "make", tmp_path / "log", "--key", KEY, "--index", 1, "--out", tmp_path / "out")
    assert answer.code == 1


def test_a_witness_is_made_served_and_stopped(atlas, tmp_path: Path):
    folder = tmp_path / "witness"
    made = atlas(
        "log", "witness", "make", folder, "--name", "w.example", "--algorithm", "ml-dsa-44", "--algorithm", "ed25519",
        "--json",
    )  # fmt: skip
    assert made.code == 0
    keys = [VerifierKey.parse(text, kinds=COSIGNER_KINDS) for text in made.document["vkeys"]]
    assert [key.kind for key in keys] == list(COSIGNER_KINDS)
    open_log(tmp_path / "log").append(entries(0, 3))
    note = open_log(tmp_path / "log").reader.latest().note
    program = "import sys; from airflow_provider_atlas.cli.main import main; sys.exit(main())"
    arguments = ["log", "witness", "serve", str(folder), "--log", str(KEY), "--listen", "127.0.0.1:0", "--prefix", "/w"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        assert process.stderr
        port = process.stderr.readline().rsplit(" ", 1)[1].strip()
        request = AddCheckpoint(old=0, proof=(), note=note).to_bytes()
        with requests.Session() as session:
            answer = session.post(f"http://127.0.0.1:{port}/w/add-checkpoint", data=request, timeout=10)
            assert len(parse_lines(answer.content)) == 2
            seen = session.get(f"http://127.0.0.1:{port}/w/{origin_id(ORIGIN)}/checkpoint", timeout=10)
        assert seen.content.startswith(note.text.encode())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        process.stderr.read()


def test_a_witness_without_a_log_a_folder_or_a_port_is_a_mistake(atlas, tmp_path: Path):
    atlas("log", "witness", "make", tmp_path / "w", "--name", "w.example")
    assert atlas("log", "witness", "make", tmp_path / "w", "--name", "w.example").code == 2
    assert atlas("log", "witness", "make", tmp_path / "x", "--name", "a name").code == 2
    assert atlas("log", "witness", "serve", tmp_path / "w").code == 2
    assert atlas("log", "witness", "serve", tmp_path / "none", "--log", KEY).code == 2
    assert atlas("log", "witness", "serve", tmp_path / "w", "--log", KEY, "--listen", "here").code == 2
    assert atlas("log", "witness", "serve", tmp_path / "w", "--log", KEY, "--listen", "203.0.113.1:1").code == 2
    shutil.rmtree(tmp_path / "w" / "logs")
    assert atlas("log", "witness", "serve", tmp_path / "w", "--log", KEY).code == 2
