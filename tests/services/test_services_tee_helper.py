"""``atlas tee helper``, run by root on the emulated kernel, and workers that are other users of the machine."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_atlas.encoding import Fields
from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
from airflow_provider_atlas.tee.evidence import Evidence
from tests.support.emulated_tsm import NOBODY, EmulatedTsm

pytestmark = pytest.mark.services

MINE = bytes(range(64))
STRANGER = NOBODY - 1

_HELPER = "import sys; from airflow_provider_atlas.cli.main import main; sys.exit(main())"
_WORKER = """
import json, os, sys
from pathlib import Path
from airflow_provider_atlas.tee.backends import attester_client
uid, path, data = int(sys.argv[1]), Path(sys.argv[2]), bytes.fromhex(sys.argv[3])
os.setgroups([])  # now that all is imported: that user may not read it
os.setgid(uid)
os.setuid(uid)
try:
    print(json.dumps(attester_client.HelperAttester(path=path).attest(data).to_json()))
except attester_client.AttesterError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are private."""
    folder = Path(tempfile.mkdtemp(prefix="atlas-helper-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def helper(mounted_tsm: EmulatedTsm, place: Path) -> Iterator[Path]:
    """The socket of a helper that NOBODY may ask."""
    socket = place / "tee.sock"
    arguments = ["tee", "helper", "--attester", mounted_tsm.attester_uri, "--socket", socket, "--allow-uid", NOBODY]
    command = [sys.executable, "-c", _HELPER, *map(str, arguments), "--home", str(place / "home")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("serving tsm:")
        yield socket
        process.terminate()
        assert process.wait(20) == 0
    assert not socket.exists()


def asked_by(uid: int, socket: Path, data: bytes = MINE) -> subprocess.CompletedProcess[str]:
    """Return what a process of the user ``uid`` is told."""
    command = [sys.executable, "-c", _WORKER, str(uid), str(socket), data.hex()]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def shown_by(done: subprocess.CompletedProcess[str]) -> Evidence:
    assert done.returncode == 0, done.stderr
    return Evidence.take(Fields(json.loads(done.stdout), "the evidence"))


def test_a_worker_without_rights_has_evidence_of_the_machine(mounted_tsm: EmulatedTsm, helper: Path):
    shown = shown_by(asked_by(NOBODY, helper))
    claims = DcapVerifier().verify(shown, development_roots={mounted_tsm.root_sha256}, at=datetime.now(UTC))
    assert claims.report_data == MINE


def test_another_user_is_refused_and_told_what_to_do(helper: Path):
    done = asked_by(STRANGER, helper)
    assert done.returncode == 1
    assert f"user {STRANGER} may not ask: start the helper with --allow-uid {STRANGER}" in done.stderr


def test_root_is_not_let_in_by_being_root(helper: Path):
    assert "user 0 may not ask" in asked_by(0, helper).stderr


def test_each_of_many_workers_has_a_quote_of_its_own(helper: Path):
    wanted = [bytes([number]) * 64 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        shown = list(threads.map(lambda data: shown_by(asked_by(NOBODY, helper, data)), wanted))
    assert len({one.quote for one in shown}) == 8
    assert all(data in one.quote for data, one in zip(wanted, shown, strict=True))
