"""Rekor's own code, in Go and unchanged, on the leaves that we derive and on the answers of the emulated Rekor v1."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from airflow_provider_atlas.bundle import log_entry
from airflow_provider_atlas.errors import LogError
from airflow_provider_atlas.tlog import rekor_v1
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from tests.support.attested_run import AttestedRun
from tests.support.fulcio import keyless
from tests.support.go_tool import built
from tests.support.logs import leaf, record
from tests.support.rekor_v1 import Answer, RekorV1

pytestmark = pytest.mark.interop

SOURCE = Path(__file__).parent / "rekor_v1"
Rekor = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="module")
def rekor() -> Rekor:
    content = b"".join((SOURCE / name).read_bytes() for name in ("main.go", "go.mod", "go.sum"))
    program = built("rekor_v1", hashlib.sha256(content).hexdigest()[:16], "install", ".", folder=SOURCE)

    def run(content: bytes, *arguments: object) -> "subprocess.CompletedProcess[bytes]":
        command = [program, *map(str, arguments)]
        return subprocess.run(command, input=content, capture_output=True, check=False, timeout=60)

    return run


def test_it_logs_the_leaves_that_we_derive(rekor: Rekor, tmp_path: Path):
    run = AttestedRun(tmp_path).complete()
    ours = [
        log_entry(each, bundle.public_key) for _, bundle in run.records.values() for each in bundle.envelopes.values()
    ]
    for entry in (*ours, *map(record, range(20))):
        proposed = rekor_v1.leaf(HashedRekord.parse(entry))
        assert rekor(proposed, "canonical").stdout == proposed


def test_it_logs_the_leaves_of_a_worker_without_a_key(rekor: Rekor, tmp_path: Path):
    with keyless(tmp_path) as services:
        bundle = AttestedRun(tmp_path / "run", trust=services.trust, **services.section).record("ingest")
    for role in bundle.envelopes:
        proposed = rekor_v1.leaf(HashedRekord.parse(bundle.log_entry(role)))
        assert rekor(proposed, "canonical").stdout == proposed


def test_it_logs_no_leaf_whose_signature_is_of_something_else(rekor: Rekor):
    wrong = HashedRekord(digest=leaf(1).digest, signature=leaf(2).signature, spki=leaf(1).spki)
    assert rekor(rekor_v1.leaf(wrong), "canonical").returncode == 1


def changed(answer: bytes, *path: str, to: object) -> bytes:
    document = json.loads(answer)
    (holder,) = document.values()
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = to
    return json.dumps(document).encode()


def test_it_believes_the_answers_that_we_believe_and_no_others(rekor: Rekor, tmp_path: Path):
    kept: list[bytes] = []
    with RekorV1() as log:
        pem = load_der_public_key(log.key.public_key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / "log.pub").write_bytes(pem)
        log.lie = lambda asked, answer: kept.append(answer.body) or answer if asked.startswith("POST") else answer
        for number in range(9):
            log.client(tmp_path).append([record(number)])
        for answer in kept:
            said = rekor(answer, "verify", tmp_path / "log.pub")
            assert (said.returncode, said.stdout) == (0, b"1 verified\n"), said.stderr
        lies = [
            changed(kept[5], "integratedTime", to=1_600_000_000),
            changed(kept[5], "logIndex", to=7),
            changed(kept[5], "verification", "inclusionProof", "logIndex", to=4),
            changed(kept[5], "verification", "inclusionProof", "hashes", to=[]),
            changed(kept[5], "verification", "inclusionProof", "rootHash", to="00" * 32),
        ]
        for lie in lies:
            assert rekor(lie, "verify", tmp_path / "log.pub").returncode == 1
            log.lie = lambda _, answer, lie=lie: Answer(answer.status, lie, {})
            with pytest.raises(LogError):
                log.client(tmp_path / "elsewhere").append([record(5)])
