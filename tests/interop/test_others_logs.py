"""Logs that others write: Tessera's library and Sigstore's Rekor v2, both in Go, read, proved and watched by ours."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_atlas.cli.main import main
from airflow_provider_atlas.tlog.note import VerifierKey
from tests.support.go_tool import built
from tests.support.logs import entry, record, served
from tests.support.rekor_server import RekorServer

pytestmark = pytest.mark.interop

TESSERA = "github.com/transparency-dev/tessera/cmd/examples/posix-oneshot@v1.0.4"
NAME = "tessera.example/log"


class Tessera:
    """A log in ``folder``, which Tessera's own program for logs in folders writes."""

    def __init__(self, folder: Path) -> None:
        self.storage = folder / "log"
        self._folder = folder
        self._program = built("posix-oneshot", "tessera-v1.0.4", "install", TESSERA)
        private = Ed25519PrivateKey.generate()
        self.key = VerifierKey.of(NAME, private)
        secret = base64.b64encode(b"\1" + private.private_bytes_raw()).decode()
        (folder / "key").write_text(f"PRIVATE+KEY+{NAME}+{self.key.key_id.hex()}+{secret}")

    def append(self, start: int, end: int) -> None:
        waiting = self._folder / f"entries-{start}"
        waiting.mkdir()
        for number in range(start, end):
            (waiting / f"{number:06d}").write_bytes(entry(number))
        command = [self._program, f"--storage_dir={self.storage}", f"--entries={waiting}/*"]
        command.append(f"--private_key={self._folder / 'key'}")
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=self._folder)


@pytest.fixture
def tessera(tmp_path: Path) -> Tessera:
    log = Tessera(tmp_path)
    log.append(0, 3)
    return log


@pytest.fixture(params=["folder", "http"])
def placed(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], str]]:
    """Return what names the log in a folder: the folder, or the URL of a web server over it."""
    servers = []

    def place(folder: Path) -> str:
        if request.param == "folder":
            return str(folder)
        servers.append(served(folder))
        return servers[-1].__enter__()

    yield place
    for server in servers:
        server.__exit__(None, None, None)


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_a_log_of_tessera_is_audited_proved_and_watched(
    tessera: Tessera, placed: Callable[[Path], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    place, key = placed(tessera.storage), str(tessera.key)
    for start, end in ((3, 256), (256, 300), (300, 700)):
        assert main(["log", "monitor", place, "--key", key, "--state", str(tmp_path / "state"), "--json"]) == 0
        tessera.append(start, end)
        capsys.readouterr()
        assert main(["log", "audit", place, "--key", key, "--json"]) == 0
        assert told(capsys)["size"] == end
    (tmp_path / "wanted").write_bytes(entry(444))
    proof, wanted = str(tmp_path / "444.tlog-proof"), str(tmp_path / "wanted")
    assert main(["log", "proof", "make", place, "--key", key, "--entry", wanted, "--out", proof]) == 0
    assert main(["log", "proof", "check", proof, "--key", key, "--entry", wanted]) == 0
    (tmp_path / "wanted").write_bytes(entry(445))
    assert main(["log", "proof", "check", proof, "--key", key, "--entry", wanted]) == 1


def test_a_flipped_bit_in_a_log_of_tessera_is_found(tessera: Tessera):
    tessera.append(3, 300)
    for name in ("tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"):
        path = tessera.storage / name
        whole = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(whole[:99] + bytes([whole[99] ^ 1]) + whole[100:] if len(whole) > 99 else bytes(len(whole)))
        assert main(["log", "audit", str(tessera.storage), "--key", str(tessera.key)]) == 1
        path.write_bytes(whole)
    assert main(["log", "audit", str(tessera.storage), "--key", str(tessera.key)]) == 0


@pytest.mark.parametrize(("size", "alarm"), [(2, "rollback"), (3, "fork"), (9, "fork")])
def test_a_log_of_tessera_that_turns_is_an_alarm(
    tessera: Tessera, tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int, alarm: str
):
    watch = [
        "log",
        "monitor",
        str(tessera.storage),
        "--key",
        str(tessera.key),
        "--state",
        str(tmp_path / "s"),
        "--json",
    ]
    assert main(watch) == 0
    shutil.rmtree(tessera.storage)
    tessera.append(1000, 1000 + size)
    capsys.readouterr()
    assert main(watch) == 1
    assert [each["kind"] for each in told(capsys)["alarms"]] == [alarm]  # type: ignore[attr-defined]


def test_a_log_of_rekor_is_audited_proved_and_watched(
    placed: Callable[[Path], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with RekorServer(tmp_path) as rekor:
        place, key = placed(tmp_path / "rekor"), str(rekor.key)
        for start, end in ((0, 3), (3, 20)):
            rekor.client().append([record(number) for number in range(start, end)])
            assert main(["log", "monitor", place, "--key", key, "--state", str(tmp_path / "state")]) == 0
            capsys.readouterr()
            assert main(["log", "audit", place, "--key", key, "--json"]) == 0
            assert told(capsys)["size"] == end
        (tmp_path / "wanted").write_bytes(record(7))
        proof, wanted = str(tmp_path / "7.tlog-proof"), str(tmp_path / "wanted")
        assert main(["log", "proof", "make", place, "--key", key, "--entry", wanted, "--out", proof]) == 0
        assert main(["log", "proof", "check", proof, "--key", key, "--entry", wanted]) == 0
