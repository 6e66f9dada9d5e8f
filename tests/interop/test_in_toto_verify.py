"""An unmodified ``in-toto-verify``, from in-toto's own distribution, on what ``atlas export`` writes."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from airflow_provider_atlas.cli.main import main
from tests.support.attested_run import AttestedRun

pytestmark = pytest.mark.interop

KEYS = {
    "one made for it": None,
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return AttestedRun(tmp_path_factory.mktemp("attested")).complete()


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    assert main(["export", str(run.run_folder), "--format", "in-toto", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def copied(exported, tmp_path):
    return Path(shutil.copytree(exported, tmp_path / "copied"))


def in_toto_verify(folder):
    """Run the program as its users do, and return its exit code and what it said."""
    program = Path(sys.executable).with_name("in-toto-verify")
    (layout,), (key,) = folder.glob("*.layout"), folder.glob("*.pub")
    command = [program, "-l", layout, "--verification-keys", key, "--link-dir", folder]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    return ended.returncode, ended.stderr


def test_it_accepts_a_run(exported):
    assert in_toto_verify(exported) == (0, "")


@pytest.mark.parametrize("kind", KEYS)
def test_it_accepts_layouts_by_owners_keys_of_every_kind(run, tmp_path, kind):
    arguments = ["export", str(run.run_folder), "--format", "in-toto", "--out", str(tmp_path / "out")]
    if (make := KEYS[kind]) is not None:
        (tmp_path / "owner.pem").write_bytes(make().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        arguments += ["--key", str(tmp_path / "owner.pem")]
    assert main(arguments) == 0
    assert in_toto_verify(tmp_path / "out") == (0, "")


@pytest.mark.parametrize("place", [0.01, 0.2, 0.4, 0.6, 0.8, 0.99])
@pytest.mark.parametrize("step", ["ingest", "train[1]", "publish"])
def test_it_refuses_a_link_with_one_changed_byte(copied, step, place):
    (link,) = (path for path in copied.glob("*.link") if path.name.startswith(f"{step}."))
    content = bytearray(link.read_bytes())
    at = int(len(content) * place)
    content[at] = ord("B") if content[at] == ord("A") else ord("A")
    link.write_bytes(content)
    code, said = in_toto_verify(copied)
    assert code == 1
    assert said.startswith("(in-toto-verify)")


def test_it_refuses_a_link_whose_material_was_changed(copied):
    (link,) = copied.glob("publish.*.link")
    envelope = json.loads(link.read_bytes())
    payload = json.loads(base64.b64decode(envelope["payload"]))
    material = next(name for name in payload["materials"] if name.startswith("file:"))
    payload["materials"][material]["sha256"] = "00" * 32
    envelope["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    link.write_bytes(json.dumps(envelope).encode())
    code, said = in_toto_verify(copied)
    assert code == 1
    assert "publish" in said


def test_it_refuses_a_run_with_a_link_missing(copied):
    (link,) = copied.glob("train[[]0].*.link")
    link.unlink()
    code, said = in_toto_verify(copied)
    assert code == 1
    assert "train[0]" in said


def test_it_refuses_a_link_of_another_run(copied, tmp_path):
    (tmp_path / "another").mkdir()
    another = AttestedRun(tmp_path / "another", run_id="manual__another").complete()
    assert main(["export", str(another.run_folder), "--format", "in-toto", "--out", str(tmp_path / "out")]) == 0
    (theirs,), (ours,) = (tmp_path / "out").glob("ingest.*.link"), copied.glob("ingest.*.link")
    shutil.copyfile(theirs, ours)
    code, _ = in_toto_verify(copied)
    assert code == 1


def test_it_refuses_a_layout_of_another_owner(copied, run, tmp_path):
    assert main(["export", str(run.run_folder), "--format", "in-toto", "--out", str(tmp_path / "out")]) == 0
    shutil.copyfile(tmp_path / "out" / "layout.pub", copied / "layout.pub")
    code, _ = in_toto_verify(copied)
    assert code == 1
