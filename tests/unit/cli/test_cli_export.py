"""``atlas export --format in-toto``: what is written, and what is refused before anything is."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.encoding import b64decode
from tests.support.attested_run import AttestedRun


def pem(key, encryption=None):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def layout_in(folder):
    return json.loads(b64decode(json.loads((folder / "run.layout").read_bytes())["payload"]))


def test_links_are_the_envelopes_byte_for_byte(atlas, attested, tmp_path):
    answer = atlas("export", attested.run_folder, "--format", "in-toto", "--out", tmp_path / "out", "--json")
    assert answer.code == 0
    keyid = attested.worker.sealer.signer.public_key.keyid[:8]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    steps = ("ingest", "train[0]", "train[1]", "publish")
    assert names == {"run.layout", "layout.pub", *(f"{step}.{keyid}.link" for step in steps)}
    for step in steps:
        bundle = AttestationBundle.parse((attested.run_folder / "tasks" / step / "1.bundle.json").read_bytes())
        link = (tmp_path / "out" / f"{step}.{keyid}.link").read_bytes()
        assert link == bundle.envelopes["link"].to_bytes()


def test_the_document_names_what_was_written_and_how_to_check_it(atlas, attested, tmp_path):
    out = tmp_path / "out with a space"
    answer = atlas("export", attested.run_folder, "--format", "in-toto", "--out", out, "--json")
    assert answer.document["layout"] == f"{out}/run.layout"
    assert len(answer.document["links"]) == 4
    assert answer.document["signers"] == [attested.worker.sealer.signer.public_key.sha256]
    assert answer.document["verify"].startswith(f"in-toto-verify -l '{out}/run.layout' --verification-keys ")


def test_a_key_that_was_not_given_is_said_to_be_made(atlas, attested, tmp_path):
    answer = atlas("export", attested.run_folder, "--format", "in-toto", "--out", tmp_path / "out")
    assert "No --key was given" in answer.err
    assert "PRIVATE" not in "".join(path.read_text() for path in (tmp_path / "out").iterdir())


def test_the_last_try_of_each_step_is_exported(atlas, tmp_path):
    run = AttestedRun(tmp_path)
    run.write("raw.csv", b"1,2,3\n")
    run.record("ingest", ["raw.csv"], state="up_for_retry")
    run.record("ingest", ["raw.csv"], {"table": b"table"}, try_number=2)
    atlas("export", run.run_folder, "--format", "in-toto", "--out", tmp_path / "out")
    readme = json.loads(layout_in(tmp_path / "out")["readme"])
    assert [(step["name"], step["try_number"], step["state"]) for step in readme["steps"]] == [("ingest", 2, "success")]


def test_a_layout_holds_as_long_as_it_is_told(atlas, attested, tmp_path):
    atlas("export", attested.run_folder, "--format", "in-toto", "--out", tmp_path / "out", "--valid-days", 10)
    expires = datetime.fromisoformat(layout_in(tmp_path / "out")["expires"])
    assert timedelta(days=9) < expires - datetime.now(UTC) <= timedelta(days=10)


def test_a_folder_that_is_not_empty_is_left_alone(atlas, attested, tmp_path):
    (tmp_path / "precious").write_text("keep")
    answer = atlas("export", attested.run_folder, "--format", "in-toto", "--out", tmp_path)
    assert answer.code == 2
    assert f"{tmp_path} is not empty" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


UNUSABLE = {
    "garbage": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "empty": b"",
    "encrypted": pem(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"secret")),
    "another kind": pem(dsa.generate_private_key(1024)),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_an_unreadable_key_is_a_mistake_and_nothing_is_written(atlas, attested, tmp_path, kind):
    key = tmp_path / "key.pem"
    key.write_bytes(UNUSABLE[kind])
    answer = atlas("export", attested.run_folder, "--format", "in-toto", "--out", tmp_path / "out", "--key", key)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"atlas: cannot use the key {key}: ")
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_key_that_is_not_there_is_a_mistake(atlas, attested, tmp_path):
    answer = atlas("export", attested.run_folder, "--format", "in-toto", "--out", tmp_path / "out", "--key", "/nowhere")
    assert answer.code == 2
    assert "cannot read the key /nowhere" in answer.err


def test_an_ed25519_key_signs_as_well(atlas, attested, tmp_path):
    key = tmp_path / "key.pem"
    key.write_bytes(pem(ed25519.Ed25519PrivateKey.generate()))
    answer = atlas("export", attested.run_folder, "--format", "in-toto", "--out", tmp_path / "out", "--key", key)
    assert answer.code == 0
    assert "No --key" not in answer.err


def test_a_run_with_a_damaged_record_is_not_exported_in_part(atlas, attested, tmp_path):
    run = shutil.copytree(attested.run_folder, tmp_path / "run")
    (run / "tasks" / "ingest" / "1.bundle.json").write_bytes(b"{}")
    answer = atlas("export", run, "--format", "in-toto", "--out", tmp_path / "out")
    assert answer.code == 1
    assert "ingest try 1" in answer.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("gone", ["pipeline.json", "tasks"])
def test_half_a_run_is_not_exported(atlas, attested, tmp_path, gone):
    run = shutil.copytree(attested.run_folder, tmp_path / "run")
    path = run / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    answer = atlas("export", run, "--format", "in-toto", "--out", tmp_path / "out")
    assert answer.code == 3
    assert not (tmp_path / "out").exists()


def test_another_format_is_not_guessed(atlas, attested, tmp_path):
    answer = atlas("export", attested.run_folder, "--format", "in_toto", "--out", tmp_path / "out")
    assert answer.code == 2
    assert "in-toto" in answer.err
