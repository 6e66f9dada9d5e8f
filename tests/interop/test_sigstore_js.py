"""An unmodified ``@sigstore/verify``, Sigstore's own JavaScript verifier, on what ``atlas export`` writes.

``npm`` brings it, and a Node that it runs on, into ``build/interop-js``; without ``npm`` these tests fail.
"""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from airflow_provider_atlas.cli.main import main
from tests.support.attested_run import AttestedRun
from tests.support.fulcio import IDENTITY, ISSUER, keyless
from tests.support.rekor_v1 import ORIGIN, RekorV1
from tests.support.sigstore_exports import changed, places
from tests.support.time_stamping import Authority

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]
SOURCES = Path(__file__).parent / "js"
TOOLS = ROOT / "build" / "interop-js"

ENTRY = ("verificationMaterial", "tlogEntries", 0)
UNSIGNED = {
    # sigstore-js takes these from elsewhere: the key from the hint, the index from the proof, the root from the
    # checkpoint, and the tree's size from there too. Our own reader refuses each change: tests/unit/sigstore.
    ("dsseEnvelope", "signatures", 0, "keyid"),
    (*ENTRY, "logIndex"),
    (*ENTRY, "inclusionProof", "rootHash"),
    (*ENTRY, "inclusionProof", "treeSize"),
}


@pytest.fixture(scope="module")
def node():
    """Return a Node that has ``@sigstore/verify``."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    for source in SOURCES.iterdir():
        shutil.copy(source, TOOLS)
    install = ["npm", "install", "--prefix", str(TOOLS), "--no-package-lock", "--no-audit", "--no-fund"]
    done = subprocess.run(install, capture_output=True, text=True, check=False, cwd=TOOLS, timeout=300)
    assert done.returncode == 0, done.stderr
    brought = TOOLS / "node_modules" / ".bin" / "node"
    return str(brought) if brought.exists() else "node"


@pytest.fixture(scope="module")
def verdicts(node):
    """Return what the verifier says of the bundles in a folder, by file name."""

    def judge(folder, *, timestamps=0, identity=None):
        command = [node, "verify_bundles.mjs", str(folder), str(timestamps), *(identity or ())]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=TOOLS, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return judge


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = AttestedRun(tmp_path_factory.mktemp("attested")).complete()
    (run.folder / "policy.yaml").write_bytes(run.policy_document())
    return run


def export(run, folder, policy=None):
    policy = policy or run.folder / "policy.yaml"
    command = ["export", str(run.run_folder), "--format", "sigstore", "--policy", str(policy), "--out", str(folder)]
    assert main(command) == 0
    return folder


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    return export(run, tmp_path_factory.mktemp("exported"))


@pytest.fixture
def copied(exported, tmp_path):
    return Path(shutil.copytree(exported, tmp_path / "copied"))


def test_it_accepts_every_bundle_of_a_run(verdicts, exported):
    said = verdicts(exported)
    assert len(said) == 15
    assert {name: each["verdict"] for name, each in said.items() if name != "trusted_root.json"} == {
        path.name: "accepted" for path in exported.glob("*.sigstore.json")
    }


def without_defaults(value):
    """Return ``value`` as protobuf's JSON has it where a writer leaves out what a reader would take it for."""
    if isinstance(value, list):
        return list(map(without_defaults, value))
    if not isinstance(value, dict):
        return value.replace("00:00:00.000Z", "00:00:00Z")
    return {name: without_defaults(member) for name, member in value.items() if member not in ([], "0", "")}


def test_protobuf_knows_every_member_that_we_write(verdicts, exported):
    # Of a member that it does not know, protobuf keeps nothing.
    for name, said in verdicts(exported).items():
        ours = json.loads((exported / name).read_bytes())
        assert without_defaults(said["known"]) == without_defaults(ours)


@pytest.mark.parametrize("name", ["train[0].1.link", "publish.1.start", "publish.1.tee", "manifest"])
def test_it_refuses_a_bundle_with_one_byte_of_any_member_changed(verdicts, copied, name):
    whole = copied / f"{name}.sigstore.json"
    document = json.loads(whole.read_bytes())
    paths = list(places(document))
    for number, path in enumerate(paths):
        (copied / f"{number}.sigstore.json").write_text(json.dumps(changed(document, path)))
    said = verdicts(copied)
    assert said[whole.name]["verdict"] == "accepted"
    accepted = {path for number, path in enumerate(paths) if said[f"{number}.sigstore.json"]["verdict"] == "accepted"}
    assert accepted == UNSIGNED
    assert len(paths) > 15


def test_it_refuses_bytes_changed_all_over_the_payload(verdicts, copied):
    document = json.loads((copied / "train[0].1.link.sigstore.json").read_bytes())
    payload = base64.b64decode(document["dsseEnvelope"]["payload"])
    for at in range(0, len(payload), 50):
        other = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
        document["dsseEnvelope"]["payload"] = base64.b64encode(other).decode()
        (copied / f"{at}.sigstore.json").write_text(json.dumps(document))
    said = verdicts(copied)
    verdict = {said[f"{at}.sigstore.json"]["verdict"] for at in range(0, len(payload), 50)}
    assert verdict == {"TLOG_BODY_ERROR"}


def test_it_refuses_a_run_of_strangers_by_our_keys_and_logs(verdicts, copied, tmp_path):
    theirs = AttestedRun(tmp_path / "theirs", run_id="manual__theirs").complete()
    (theirs.folder / "policy.yaml").write_bytes(theirs.policy_document())
    folder = export(theirs, tmp_path / "out")
    shutil.copy(copied / "trusted_root.json", folder)
    assert {said["verdict"] for name, said in verdicts(folder).items() if name != "trusted_root.json"} == {
        "TLOG_INCLUSION_PROOF_ERROR"
    }
    for key in folder.glob("*.pub"):
        key.unlink()
    assert {said["verdict"] for name, said in verdicts(folder).items() if name != "trusted_root.json"} == {
        "PUBLIC_KEY_ERROR"
    }


def test_it_refuses_an_envelope_beside_the_entry_of_another(verdicts, copied):
    one, other = (json.loads((copied / f"train[{index}].1.link.sigstore.json").read_bytes()) for index in (0, 1))
    one["dsseEnvelope"] = other["dsseEnvelope"]
    (copied / "swapped.sigstore.json").write_text(json.dumps(one))
    assert verdicts(copied)["swapped.sigstore.json"]["verdict"] == "TLOG_BODY_ERROR"


@pytest.fixture(scope="module")
def stamped(tmp_path_factory):
    """Return an exported run whose links an authority stamped."""
    authority = Authority()
    run = AttestedRun(tmp_path_factory.mktemp("stamped")).stamped_by(authority).complete()
    document = yaml.safe_load(run.policy_document())
    ours = {"name": "ours", "certificates": authority.pem.decode()}
    document["timestamps"] = {"link": "required", "within": 3600, "authorities": [ours]}
    (run.folder / "policy.yaml").write_text(yaml.safe_dump(document))
    return export(run, tmp_path_factory.mktemp("exported"))


def test_it_takes_the_time_from_the_authority_of_the_policy(verdicts, stamped):
    said = verdicts(stamped, timestamps=1)
    accepted = {name for name, each in said.items() if each["verdict"] == "accepted"}
    assert accepted == {path.name for path in stamped.glob("*.link.sigstore.json")}
    assert len(accepted) == 4
    assert {said[name]["verdict"] for name in said.keys() - accepted} == {"TIMESTAMP_ERROR", "read"}
    for name in (*accepted, "trusted_root.json"):
        ours = json.loads((stamped / name).read_bytes())
        assert without_defaults(said[name]["known"]) == without_defaults(ours)


def test_it_refuses_a_time_stamp_of_another_signature_or_authority(verdicts, stamped, tmp_path):
    folder = Path(shutil.copytree(stamped, tmp_path / "copied"))
    one, other = (json.loads((folder / f"train[{index}].1.link.sigstore.json").read_bytes()) for index in (0, 1))
    material = one["verificationMaterial"]
    material["timestampVerificationData"] = other["verificationMaterial"]["timestampVerificationData"]
    (folder / "swapped.sigstore.json").write_text(json.dumps(one))
    signature = base64.b64decode(one["dsseEnvelope"]["signatures"][0]["sig"])
    stranger = base64.b64encode(Authority().stamp(signature)).decode()
    material["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": stranger}]}
    (folder / "stranger.sigstore.json").write_text(json.dumps(one))
    said = verdicts(folder, timestamps=1)
    assert said["swapped.sigstore.json"]["verdict"] == "TIMESTAMP_ERROR"
    assert said["stranger.sigstore.json"]["verdict"] == "TIMESTAMP_ERROR"


@pytest.fixture(scope="module")
def of_rekor_v1(tmp_path_factory):
    """Return an exported run whose log is one of Rekor's first version, emulated."""
    with RekorV1() as log:
        section = {"log": f"rekor-v1:{log.url}", "log_key": str(log.key), "log_origin": ORIGIN}
        run = AttestedRun(tmp_path_factory.mktemp("rekor-v1"), **section).complete()
        (run.folder / "policy.yaml").write_bytes(run.policy_document())
    return export(run, tmp_path_factory.mktemp("exported"))


def test_it_accepts_every_bundle_of_a_run_in_rekor_v1_and_takes_the_time_from_the_log(verdicts, of_rekor_v1):
    said = verdicts(of_rekor_v1, timestamps=1)
    assert len(said) == 15
    assert {name: each["verdict"] for name, each in said.items() if name != "trusted_root.json"} == {
        path.name: "accepted" for path in of_rekor_v1.glob("*.sigstore.json")
    }
    for name in said:
        ours = json.loads((of_rekor_v1 / name).read_bytes())
        assert without_defaults(said[name]["known"]) == without_defaults(ours)


def test_it_refuses_a_bundle_of_rekor_v1_with_one_byte_of_any_member_changed(verdicts, of_rekor_v1, tmp_path):
    folder = Path(shutil.copytree(of_rekor_v1, tmp_path / "copied"))
    document = json.loads((folder / "train[0].1.link.sigstore.json").read_bytes())
    paths = list(places(document))
    for number, path in enumerate(paths):
        (folder / f"{number}.sigstore.json").write_text(json.dumps(changed(document, path)))
    said = verdicts(folder, timestamps=1)
    accepted = {path for number, path in enumerate(paths) if said[f"{number}.sigstore.json"]["verdict"] == "accepted"}
    assert accepted == UNSIGNED - {(*ENTRY, "logIndex")}  # which the promise covers


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    """Return an exported run of a worker without a key."""
    folder = tmp_path_factory.mktemp("keyless")
    with keyless(folder) as services:
        run = AttestedRun(folder / "run", trust=services.trust, **services.section).complete()
        (run.folder / "policy.yaml").write_bytes(run.policy_document())
    return export(run, tmp_path_factory.mktemp("exported"))


def test_it_accepts_every_bundle_of_a_worker_without_a_key(verdicts, certified):
    said = verdicts(certified, timestamps=1, identity=(IDENTITY, ISSUER))
    assert len(said) == 15
    assert {each["verdict"] for name, each in said.items() if name != "trusted_root.json"} == {"accepted"}
    for name, each in said.items():
        assert without_defaults(each["known"]) == without_defaults(json.loads((certified / name).read_bytes()))


@pytest.mark.parametrize("identity", [(f"{IDENTITY}2", ISSUER), (IDENTITY, f"{ISSUER}2")])
def test_it_refuses_a_worker_of_another_name_or_issuer(verdicts, certified, identity):
    said = verdicts(certified, timestamps=1, identity=identity)
    assert {each["verdict"] for name, each in said.items() if name != "trusted_root.json"} == {"UNTRUSTED_SIGNER_ERROR"}


def test_it_refuses_a_certified_bundle_with_one_byte_of_any_member_changed(verdicts, certified, tmp_path):
    folder = Path(shutil.copytree(certified, tmp_path / "copied"))
    document = json.loads((folder / "publish.1.start.sigstore.json").read_bytes())
    paths = list(places(document))
    for number, path in enumerate(paths):
        # In the middle of a time-stamp is the authority's certificate, which everybody takes from the root.
        at = -8 if path[-1] == "signedTimestamp" else None
        (folder / f"{number}.sigstore.json").write_text(json.dumps(changed(document, path, at)))
    said = verdicts(folder, timestamps=1, identity=(IDENTITY, ISSUER))
    accepted = {path for number, path in enumerate(paths) if said[f"{number}.sigstore.json"]["verdict"] == "accepted"}
    assert accepted == UNSIGNED
