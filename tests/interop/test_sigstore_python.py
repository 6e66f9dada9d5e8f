"""An unmodified sigstore-python on what ``atlas export`` writes of a worker without a key: it accepts, and refuses."""

import base64
import copy
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from sigstore.errors import Error, VerificationError
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity

from airflow_provider_atlas.cli.main import main
from tests.support.attested_run import AttestedRun
from tests.support.fulcio import IDENTITY, ISSUER, Fulcio, keyless
from tests.support.sigstore_exports import changed, places

WORKER = Identity(identity=IDENTITY, issuer=ISSUER)
ENTRY = ("verificationMaterial", "tlogEntries", 0)
UNREAD = {
    # sigstore-python takes the key from the certificate and the index from the proof, and tries every log that it
    # trusts where it knows none by that id. Our own reader refuses each change: tests/unit/sigstore.
    ("dsseEnvelope", "signatures", 0, "keyid"),
    (*ENTRY, "logIndex"),
    (*ENTRY, "logId", "keyId"),
}


def complete(folder: Path) -> AttestedRun:
    with keyless(folder) as services:
        run = AttestedRun(folder / "run", trust=services.trust, **services.section).complete()
        (run.folder / "policy.yaml").write_bytes(run.policy_document())
    return run


def export(run: AttestedRun, folder: Path) -> Path:
    policy = run.folder / "policy.yaml"
    command = ["export", str(run.run_folder), "--format", "sigstore", "--policy", str(policy), "--out", str(folder)]
    assert main(command) == 0
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return complete(tmp_path_factory.mktemp("keyless"))


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    return export(run, tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    return export(complete(tmp_path_factory.mktemp("strangers")), tmp_path_factory.mktemp("exported"))


def by_root(path: Path) -> Verifier:
    return Verifier(trusted_root=TrustedRoot.from_file(str(path)))


@pytest.fixture(scope="module")
def verifier(exported):
    return by_root(exported / "trusted_root.json")


def read(exported: Path, name: str):
    return json.loads((exported / f"{name}.sigstore.json").read_bytes())


def verified(verifier, document, policy=WORKER):
    return verifier.verify_dsse(Bundle.from_json(json.dumps(document)), policy)


def test_it_accepts_every_bundle_of_a_run(run, verifier, exported):
    envelopes = [envelope for _, bundle in run.records.values() for envelope in bundle.envelopes.values()]
    bundles = [json.loads(path.read_bytes()) for path in exported.glob("*.sigstore.json")]
    said = {payload for _, payload in (verified(verifier, each) for each in bundles)}
    assert len(said) == len(bundles) == len(envelopes) + 1
    assert {envelope.payload for envelope in envelopes} <= said


@pytest.mark.parametrize(
    "other", [Identity(identity=f"{IDENTITY}2", issuer=ISSUER), Identity(identity=IDENTITY, issuer=f"{ISSUER}2")]
)
def test_it_refuses_another_identity_or_issuer(verifier, exported, other):
    with pytest.raises(VerificationError):
        verified(verifier, read(exported, "train[0].1.link"), other)


@pytest.mark.parametrize("name", ["train[0].1.link", "publish.1.start", "manifest"])
def test_it_refuses_a_bundle_with_one_byte_of_any_member_changed(verifier, exported, name):
    document, accepted = read(exported, name), set()
    verified(verifier, document)
    for path in places(document):
        try:
            verified(verifier, changed(document, path))
        except (Error, ValueError):  # pydantic's are ValueErrors
            continue
        accepted.add(path)
    assert accepted == UNREAD


def test_it_refuses_the_certificate_or_time_stamp_of_another_worker(verifier, exported, strangers):
    one, other = read(exported, "train[0].1.link"), read(strangers, "train[1].1.link")
    for member in ("timestampVerificationData", "certificate"):
        swapped = copy.deepcopy(one)
        swapped["verificationMaterial"][member] = other["verificationMaterial"][member]
        with pytest.raises(VerificationError):
            verified(verifier, swapped)


@pytest.mark.parametrize("member", ["certificateAuthorities", "ctlogs", "timestampAuthorities", "tlogs"])
def test_it_refuses_all_of_it_by_a_root_of_strangers(exported, tmp_path, member):
    root = json.loads((exported / "trusted_root.json").read_bytes())
    if member == "certificateAuthorities":
        chain = [each.public_bytes(Encoding.DER) for each in Fulcio().chain]
        root[member][0]["certChain"]["certificates"] = [{"rawBytes": base64.b64encode(each).decode()} for each in chain]
    else:
        root[member] = []
    (tmp_path / "root.json").write_text(json.dumps(root))
    with pytest.raises(Error):
        verified(by_root(tmp_path / "root.json"), read(exported, "train[0].1.link"))
