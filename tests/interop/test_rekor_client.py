"""Sigstore's own client and verifier of Rekor v2, in Go and unchanged, against ``atlas log serve``."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.support.go_tool import built
from tests.support.log_server import LogServer
from tests.support.logs import record

pytestmark = pytest.mark.interop

SOURCE = Path(__file__).parent / "rekor_client"


@pytest.fixture(scope="module")
def rekor_client():
    content = b"".join((SOURCE / name).read_bytes() for name in ("main.go", "go.mod", "go.sum"))
    program = built("rekor_client", hashlib.sha256(content).hexdigest()[:16], "install", ".", folder=SOURCE)

    def run(server, vkey):
        command = [program, server.url, vkey, "5"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    return run


@pytest.fixture
def server(tmp_path):
    with LogServer(tmp_path) as served:
        yield served


def test_it_logs_verifies_and_reads_back(server, rekor_client):
    server.client().append([record(0)])
    ended = rekor_client(server, server.vkey)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "6 entries\n", "")


def test_it_refuses_a_log_by_another_key(server, rekor_client, tmp_path):
    with LogServer(tmp_path / "stranger") as stranger:
        ended = rekor_client(server, stranger.vkey)
    assert ended.returncode == 1
    assert ended.stdout == ""
