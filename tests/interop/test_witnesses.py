"""Others' witnesses cosign our log, and our witness cosigns others' logs.

``litewitness`` is a witness in Go, which keeps its key in an ssh-agent; ``tlog-scales`` writes and reads logs.
"""

import base64
import hashlib
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from tlog_scales import backend, reader, signing, tlog, writer

from airflow_provider_atlas.errors import LogError
from airflow_provider_atlas.tlog.backends import witness_folder
from airflow_provider_atlas.tlog.backends.log_reader import LogReader
from airflow_provider_atlas.tlog.backends.posix import PosixLog
from airflow_provider_atlas.tlog.backends.sources import FolderSource
from airflow_provider_atlas.tlog.backends.witness_client import Witnesses, add_checkpoint
from airflow_provider_atlas.tlog.backends.witness_folder import ALGORITHMS, WitnessFolder
from airflow_provider_atlas.tlog.cosignature import Cosigner
from airflow_provider_atlas.tlog.note import SignedNote, VerifierKey
from airflow_provider_atlas.tlog.policy import Witness, WitnessPolicy
from airflow_provider_atlas.tlog.trust import TrustedLog
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY, entries, entry
from tests.support.witness_servers import serving

LITEWITNESS = "filippo.io/torchwood/cmd/litewitness@v0.9.0"  # the last that Go 1.26 builds
NAME = "lite.example/w"


def waited_for(there) -> None:
    """Wait until ``there()``, at most ten seconds."""
    for _ in range(200):
        if there():
            return
        time.sleep(0.05)
    raise AssertionError("it did not start")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Litewitness, built. Without ``go`` this fails: who asks for this test has it."""
    folder = tmp_path_factory.mktemp("go")
    subprocess.run(["go", "install", LITEWITNESS], check=True, env={**os.environ, "GOBIN": str(folder)})
    return folder / "litewitness"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[tuple[Path, Ed25519PrivateKey]]:
    """An ssh-agent that holds one key: its socket, and the key."""
    key, path, kept = Ed25519PrivateKey.generate(), tmp_path / "agent", tmp_path / "key"
    kept.touch(0o600)
    kept.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        waited_for(path.exists)
        environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
        subprocess.run(["ssh-add", kept], check=True, env=environment, stderr=subprocess.DEVNULL)
        yield path, key
        process.terminate()


@pytest.fixture
def litewitness(program: Path, agent: tuple[Path, Ed25519PrivateKey], tmp_path: Path) -> Iterator[Witness]:
    """A litewitness that knows our log."""
    path, key = agent
    blob = base64.b64decode(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])
    print_of_key = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    port, database = free_port(), tmp_path / "litewitness.db"
    arguments = ["-db", database, "-key", f"SHA256:{print_of_key}", "-name", NAME, "-ssh-agent", path]
    with (tmp_path / "litewitness.log").open("wb") as log:
        process = subprocess.Popen([program, *arguments, "-listen", f"127.0.0.1:{port}"], stderr=log)
    waited_for(lambda: listens(port))
    with sqlite3.connect(database) as rows:  # as its witnessctl does
        empty = base64.b64encode(hashlib.sha256().digest()).decode()
        rows.execute("INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)", (ORIGIN, empty))
        rows.execute("INSERT INTO key (origin, key) VALUES (?, ?)", (ORIGIN, str(KEY)))
    rows.close()
    yield Witness(name="lite", key=Cosigner(name=NAME, key=key).verifier_key, url=f"http://127.0.0.1:{port}")
    process.terminate()
    process.wait(timeout=10)


@pytest.mark.interop
def test_litewitness_cosigns_our_log_and_refuses_its_fork(litewitness: Witness, tmp_path: Path):
    policy = WitnessPolicy(logs=(), witnesses=(litewitness,), groups=(), quorum="lite")
    trusted = TrustedLog(origin=ORIGIN, key=KEY, witnesses=policy)

    def log(folder: str) -> PosixLog:
        return PosixLog(tmp_path / folder, ORIGIN, SIGNING_KEY, cosign=Witnesses(policy, fail_open=False))

    for start, end in ((0, 1), (1, 256), (256, 600), (0, 600), (600, 700)):
        for receipt, number in zip(log("log").append(entries(start, end)), range(start, end), strict=True):
            trusted.check(receipt, entry(number))
    with pytest.raises(LogError, match="no quorum"):
        log("fork").append([b"another history"])
    with pytest.raises(LogError, match="no quorum"):
        log("fork").append([b"another %d" % number for number in range(900)])
    trusted.check(log("log").append([entry(700)])[0], entry(700))


ITS_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
ITS_ORIGIN = "scales.example/log"


def grown(folder: Path, start: int, end: int) -> SignedNote:
    """Let tlog-scales write the entries ``[start, end)``, and return its checkpoint."""
    log = writer.TilesWriter.from_path(folder) if start else writer.TilesWriter.create(folder, ITS_ORIGIN)
    for number in range(start, end):
        log.add_leaf(entry(number))
    log.commit([signing.PlainEd25519Signer(ITS_ORIGIN, ITS_KEY)])
    return SignedNote.parse((folder / "checkpoint").read_bytes())


def proved(its: reader.TilesReader, old: int, new: int) -> list[bytes]:
    return its.get_consistency_proof(old, new).node_hashes if 0 < old < new else []


def test_our_witness_cosigns_a_log_of_another_implementation(tmp_path: Path):
    key = VerifierKey.of(ITS_ORIGIN, ITS_KEY)
    witness_folder.create(tmp_path / "witness", "w.example", ALGORITHMS)
    witness = WitnessFolder(tmp_path / "witness", {ITS_ORIGIN: [key]})
    with serving(witness) as url:
        for start, end in ((0, 3), (3, 256), (256, 700)):
            note = grown(tmp_path / "log", start, end)
            its = reader.TilesReader(backend.make_backend(str(tmp_path / "log")))
            its.set_size(end)
            asked = Witness(name="w", key=witness.cosigners[0].verifier_key, url=url)
            # Its proof, from the size that our witness says it knows.
            lines = add_checkpoint(
                asked,
                note,
                lambda old, its=its, end=end: its.get_consistency_proof(old, end).node_hashes if old else (),
            )
            assert len(lines) == 1
            kept = witness.checkpoint(hashlib.sha256(ITS_ORIGIN.encode()).hexdigest()) or b""
            checkpoint = tlog.Checkpoint.from_text(kept.decode())
            for cosigner in witness.cosigners:
                checkpoint.verify(signing.Vkey.from_string(str(cosigner.verifier_key)))
        shutil.rmtree(tmp_path / "log")
        with pytest.raises(LogError):
            add_checkpoint(asked, grown(tmp_path / "log", 0, 256), lambda _: ())


def test_a_log_of_another_implementation_is_audited_and_proved(tmp_path: Path):
    grown(tmp_path / "log", 0, 700)
    log = LogReader(FolderSource(tmp_path / "log"), VerifierKey.of(ITS_ORIGIN, ITS_KEY))
    assert log.audit().checkpoint.size == 700
    for index in (0, 255, 256, 699):
        log.receipt(index).check(entry(index), ITS_ORIGIN, [VerifierKey.of(ITS_ORIGIN, ITS_KEY)])
        assert log.find(entry(index)) == index
