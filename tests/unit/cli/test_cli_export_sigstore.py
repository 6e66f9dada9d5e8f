"""``atlas export --format sigstore``: what is written, and what is refused before anything is."""

import dataclasses
import json
import shutil

import pytest
import yaml

from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.sigstore.bundle import SigstoreBundle, key_hint
from airflow_provider_atlas.sigstore.trusted_root import TrustedRoot
from airflow_provider_atlas.tlog.timestamp import TrustedAuthority
from airflow_provider_atlas.verify.policy import Policy
from tests.support.attested_run import AttestedRun
from tests.support.time_stamping import Authority


@pytest.fixture
def export(atlas, policy, tmp_path):
    """Export a run into ``out``, by the honest run's policy unless another is given."""

    def run(folder, *arguments, policy=policy):
        trust = () if policy is None else ("--policy", policy)
        return atlas("export", folder, "--format", "sigstore", "--out", tmp_path / "out", *trust, *arguments)

    return run


def exported(tmp_path):
    return {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_each_logged_envelope_is_a_bundle_of_its_own(export, attested, tmp_path):
    answer = export(attested.run_folder, "--json")
    assert answer.code == 0
    bundles = {name for name in exported(tmp_path) if name.endswith(".sigstore.json")}
    assert bundles == {
        *(f"{step}.1.{role}.sigstore.json" for step in attested.records for role in ("link", "provenance", "tee")),
        "publish.1.start.sigstore.json",
        "manifest.sigstore.json",
    }
    assert answer.document["bundles"] == [f"{tmp_path}/out/{name}" for name in sorted(bundles)]
    assert answer.document["unlogged"] == []


def test_a_bundle_holds_the_envelope_byte_for_byte(export, attested, tmp_path):
    export(attested.run_folder)
    for step, (_, record) in attested.records.items():
        for role, envelope in record.envelopes.items():
            bundle = SigstoreBundle.parse(exported(tmp_path)[f"{step}.1.{role}.sigstore.json"])
            assert bundle.envelope.to_bytes() == envelope.to_bytes()
            assert (bundle.receipt, bundle.signer) == (record.receipts[role], record.public_key)


def test_keys_and_logs_are_those_of_the_policy(export, attested, policy, tmp_path):
    answer = export(attested.run_folder, "--json")
    trusted = Policy.parse(policy.read_bytes())
    assert answer.document["trusted_root"] == f"{tmp_path}/out/trusted_root.json"
    assert TrustedRoot.parse(exported(tmp_path)["trusted_root.json"]).logs == tuple(log.key for log in trusted.logs)
    (pem,) = (content for name, content in exported(tmp_path).items() if name.endswith(".pub"))
    key = PublicKey.from_pem(pem)
    assert key == trusted.signers[0].key
    assert answer.document["keys"] == [f"{tmp_path}/out/{key.sha256}.pub"]
    manifest = json.loads(exported(tmp_path)["manifest.sigstore.json"])
    assert manifest["verificationMaterial"]["publicKey"]["hint"] == key_hint(key)


def test_every_try_and_every_manifest_is_exported(export, tmp_path):
    run = AttestedRun(tmp_path / "run")
    run.write("raw.csv", b"1,2,3\n")
    run.record("ingest", ["raw.csv"], state="up_for_retry")
    run.record("ingest", ["raw.csv"], {"table": b"table"}, try_number=2)
    run.end()
    shutil.copy(run.run_folder / "manifest.bundle.json", run.run_folder / "manifest.2.bundle.json")
    policy = tmp_path / "policy.yaml"
    policy.write_bytes(run.policy_document())
    assert export(run.run_folder, policy=policy).code == 0
    names = {name.removesuffix(".sigstore.json") for name in exported(tmp_path)}
    assert {"ingest.1.link", "ingest.2.link", "manifest", "manifest.2"} < names


def test_a_start_whose_task_never_ended_is_exported(export, attested, tmp_path):
    run = shutil.copytree(attested.run_folder, tmp_path / "run")
    path = run / "tasks" / "publish" / "1.bundle.json"
    record = AttestationBundle.parse(path.read_bytes())
    start = AttestationBundle(
        envelopes={"start": record.envelopes["start"]},
        public_key=record.public_key,
        receipts={"start": record.receipts["start"]},
    )
    (path.parent / "1.start.json").write_bytes(start.to_bytes())
    assert export(run).code == 0
    whole = exported(tmp_path)
    shutil.rmtree(tmp_path / "out")
    path.unlink()
    assert export(run).code == 0
    alone = exported(tmp_path)
    assert {name for name in alone if name.startswith("publish")} == {"publish.1.start.sigstore.json"}
    assert alone["publish.1.start.sigstore.json"] == whole["publish.1.start.sigstore.json"]


def test_a_start_beside_another_start_of_its_try_is_not_left_out_silently(export, attested, tmp_path):
    run = shutil.copytree(attested.run_folder, tmp_path / "run")
    path = run / "tasks" / "publish" / "1.start.json"
    manifest = AttestationBundle.parse((run / "manifest.bundle.json").read_bytes())
    other = AttestationBundle(
        envelopes={"start": manifest.envelopes["manifest"]},
        public_key=manifest.public_key,
        receipts={"start": manifest.receipts["manifest"]},
    )
    path.write_bytes(other.to_bytes())
    answer = export(run)
    assert answer.code == 1
    assert "two of publish.1.start" in answer.err
    assert not (tmp_path / "out").exists()


def test_what_is_in_no_log_yet_is_left_out_and_named(export, attested, tmp_path):
    run = shutil.copytree(attested.run_folder, tmp_path / "run")
    path = run / "tasks" / "ingest" / "1.bundle.json"
    record = AttestationBundle.parse(path.read_bytes())
    unlogged = dataclasses.replace(record, receipts={"tee": record.receipts["tee"]})
    path.write_bytes(unlogged.to_bytes())
    answer = export(run, "--json")
    assert answer.code == 0
    assert answer.document["unlogged"] == ["ingest.1.link", "ingest.1.provenance"]
    assert "ingest.1.link is in no log yet" in answer.err
    assert {name for name in exported(tmp_path) if name.startswith("ingest")} == {"ingest.1.tee.sigstore.json"}


def test_a_run_of_which_nothing_is_logged_is_not_exported(export, tmp_path):
    run = tmp_path / "run"
    (run / "tasks").mkdir(parents=True)
    answer = export(run)
    assert answer.code == 3
    assert not (tmp_path / "out").exists()


def test_a_policy_must_be_named(export, attested, tmp_path):
    answer = export(attested.run_folder, policy=None)
    assert (answer.code, answer.out) == (2, "")
    assert "with --policy FILE" in answer.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [("--key", "key.pem"), ("--valid-days", 10)])
def test_what_is_said_of_a_layout_has_no_meaning(export, attested, tmp_path, arguments):
    answer = export(attested.run_folder, *arguments)
    assert answer.code == 2
    assert f"{arguments[0]} has no meaning for --format sigstore" in answer.err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty_is_left_alone(export, attested, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("keep")
    answer = export(attested.run_folder)
    assert answer.code == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious"]


def test_a_policy_has_no_meaning_for_a_layout(atlas, attested, policy, tmp_path):
    answer = atlas("export", attested.run_folder, "--format", "in-toto", "--policy", policy, "--out", tmp_path / "out")
    assert answer.code == 2
    assert "--policy has no meaning for --format in-toto" in answer.err


def test_a_damaged_record_is_not_left_out_silently(export, attested, tmp_path):
    run = shutil.copytree(attested.run_folder, tmp_path / "run")
    (run / "tasks" / "ingest" / "1.bundle.json").write_bytes(b"{}")
    answer = export(run)
    assert answer.code == 1
    assert "tasks/ingest/1.bundle.json" in answer.err
    assert not (tmp_path / "out").exists()


def test_a_record_of_a_key_or_in_a_log_that_the_policy_does_not_trust_is_not_exported(
    export, attested, policy, tmp_path
):
    stranger = AttestedRun(tmp_path / "stranger")
    theirs = yaml.safe_load(stranger.policy_document())
    for part, said in (("signers", "a key that the policy trusts"), ("logs", "expected a note signed by")):
        document = yaml.safe_load(policy.read_bytes())
        document[part] = theirs[part]
        (tmp_path / "mixed.yaml").write_text(yaml.safe_dump(document))
        answer = export(attested.run_folder, policy=tmp_path / "mixed.yaml")
        assert answer.code == 1
        assert said in answer.err
        assert not (tmp_path / "out").exists()


def test_a_record_in_a_log_that_the_policy_does_not_name_is_not_exported(export, attested, policy, tmp_path):
    document = yaml.safe_load(policy.read_bytes())
    document["logs"][0]["origin"] = "elsewhere.example/log"
    (tmp_path / "elsewhere.yaml").write_text(yaml.safe_dump(document))
    answer = export(attested.run_folder, policy=tmp_path / "elsewhere.yaml")
    assert answer.code == 1
    assert "a log that the policy trusts, not localhost/tests" in answer.err


def test_time_stamps_go_along_where_the_policy_knows_their_authority(export, tmp_path):
    authority, policy = Authority(), tmp_path / "policy.yaml"
    run = AttestedRun(tmp_path / "run").stamped_by(authority).complete()
    policy.write_bytes(run.policy_document())
    assert export(run.run_folder, policy=policy).code == 0
    assert b"timestampVerificationData" not in b"".join(exported(tmp_path).values())
    shutil.rmtree(tmp_path / "out")
    asking(policy, authority)
    assert export(run.run_folder, policy=policy).code == 0
    for step, (_, bundle) in run.records.items():
        link = SigstoreBundle.parse(exported(tmp_path)[f"{step}.1.link.sigstore.json"])
        assert link.timestamp == bundle.timestamps["link"]
    (trusted,) = TrustedRoot.parse(exported(tmp_path)["trusted_root.json"]).authorities
    assert trusted.certificates == TrustedAuthority.from_pem("ours", authority.pem).certificates


def test_a_time_stamp_of_a_stranger_is_not_exported(export, tmp_path):
    policy = tmp_path / "policy.yaml"
    run = AttestedRun(tmp_path / "run").stamped_by(Authority()).complete()
    policy.write_bytes(run.policy_document())
    asking(policy, Authority())
    answer = export(run.run_folder, policy=policy)
    assert answer.code == 1
    assert "expected a time-stamp of the signature by ours" in answer.err
    assert not (tmp_path / "out").exists()


def asking(policy, authority):
    document = yaml.safe_load(policy.read_bytes())
    ours = {"name": "ours", "certificates": authority.pem.decode()}
    document["timestamps"] = {"link": "optional", "within": 3600, "authorities": [ours]}
    policy.write_text(yaml.safe_dump(document))


def test_keys_that_a_session_attests_are_exported_with_what_they_signed(export, tmp_path):
    run = AttestedRun(tmp_path / "run", attester_mode="session").complete()
    policy = tmp_path / "policy.yaml"
    policy.write_bytes(run.policy_document())
    assert export(run.run_folder, policy=policy).code == 0
    own = run.worker.sealer.signer.public_key
    listed = Policy.parse(policy.read_bytes()).signers[0].key
    keys = {name for name in exported(tmp_path) if name.endswith(".pub")}
    assert keys == {f"{own.sha256}.pub", f"{listed.sha256}.pub"}
    assert own != listed


def test_a_key_is_not_exported_whose_session_the_policy_does_not_accept(export, tmp_path):
    run = AttestedRun(tmp_path / "run", attester_mode="session").complete()
    document = yaml.safe_load(run.policy_document())
    document["tee"]["accept"][0]["measurements"]["mrtd"] = ["00" * 48]
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump(document))
    answer = export(run.run_folder, policy=policy)
    assert answer.code == 1
    assert "a key that the policy trusts" in answer.err
    assert not (tmp_path / "out").exists()
