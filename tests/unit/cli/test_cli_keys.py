"""``atlas keys``: a key is made for its owner's eyes, and shown by the names that others know it by."""

import stat

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from airflow_provider_atlas.signing.keys import PublicKey


def test_a_key_is_made_and_shown_alike(atlas, tmp_path):
    path = tmp_path / "task.pem"
    made = atlas("keys", "generate", "--out", path, "--json")
    assert made.code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert atlas("keys", "show", path, "--json").document == made.document
    key = PublicKey.from_pem(made.document["public_key"].encode())
    assert (made.document["sha256"], made.document["keyid"]) == (key.sha256, key.keyid)


def test_people_are_shown_the_public_half_and_never_the_other(atlas, tmp_path):
    path = tmp_path / "task.pem"
    answer = atlas("keys", "generate", "--out", path)
    assert "-----BEGIN PUBLIC KEY-----\n" in answer.out
    assert "PRIVATE" not in answer.out + answer.err
    public = tmp_path / "task.pub"
    public.write_text(answer.out[answer.out.index("-----BEGIN") :])
    assert atlas("keys", "show", public, "--json").document["keyid"] in answer.out


def test_a_key_is_never_replaced(atlas, tmp_path):
    path = tmp_path / "task.pem"
    atlas("keys", "generate", "--out", path)
    before = path.read_bytes()
    answer = atlas("keys", "generate", "--out", path)
    assert (answer.code, answer.out) == (2, "")
    assert path.read_bytes() == before


def unreadable(folder, kind):
    path = folder / "key.pem"
    log_key = ed25519.Ed25519PrivateKey.generate()
    contents = {
        "garbage": b"no key",
        "half": b"-----BEGIN PRIVATE KEY-----\nMIGH",
        "binary": bytes(range(256)),
        "a log's key": log_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "a log's public key": log_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    }
    if kind in contents:
        path.write_bytes(contents[kind])
        path.chmod(0o600)
    elif kind == "a folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    "kind", ["absent", "garbage", "half", "binary", "a folder", "a log's key", "a log's public key"]
)
def test_an_unreadable_key_is_a_mistake(atlas, tmp_path, kind):
    path = unreadable(tmp_path, kind)
    answer = atlas("keys", "show", path)
    assert (answer.code, answer.out) == (2, "")
    assert str(path) in answer.err
    assert answer.err.count("\n") == 1


def test_a_private_key_that_others_can_read_is_refused(atlas, tmp_path):
    path = tmp_path / "task.pem"
    atlas("keys", "generate", "--out", path)
    path.chmod(0o644)
    answer = atlas("keys", "show", path)
    assert answer.code == 2
    assert "chmod" in answer.err
