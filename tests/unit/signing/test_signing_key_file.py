"""Key files: who may have them, what is in them, and that many processes agree on one."""

import os
import re
import socket
import stat
import subprocess
import sys

import pytest
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from airflow_provider_atlas.errors import ConfigError, SigningError
from airflow_provider_atlas.signing.backends.key_file import KeyFileSigner, _check_private


def pem_of(key, form=PrivateFormat.PKCS8, encryption=None):
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


def write(path, content, mode=0o600):
    path.write_bytes(content)
    path.chmod(mode)
    return path


def status(mode, owner):
    return os.stat_result((stat.S_IFREG | mode, 1, 1, 1, owner, 0, 1, 0, 0, 0))


def test_a_new_key_is_for_its_owner_alone_in_a_folder_for_its_owner_alone(tmp_path):
    path = tmp_path / "keys" / "of" / "task.pem"
    KeyFileSigner.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)] == [0o700, 0o700]
    assert os.listdir(path.parent) == ["task.pem"]


def test_a_new_key_is_pkcs8_and_loads_as_itself(tmp_path):
    created = KeyFileSigner.create(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert KeyFileSigner.load(tmp_path / "key.pem").public_key == created.public_key


def test_two_new_keys_differ(tmp_path):
    assert KeyFileSigner.create(tmp_path / "a").public_key != KeyFileSigner.create(tmp_path / "b").public_key


def test_creating_never_replaces_a_key(tmp_path):
    kept = KeyFileSigner.create(tmp_path / "key.pem")
    with pytest.raises(ConfigError, match="expected nothing at"):
        KeyFileSigner.create(tmp_path / "key.pem")
    assert KeyFileSigner.load(tmp_path / "key.pem").public_key == kept.public_key
    assert os.listdir(tmp_path) == ["key.pem"]


def test_creating_replaces_no_dangling_link(tmp_path):
    (tmp_path / "key.pem").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="expected nothing at"):
        KeyFileSigner.create(tmp_path / "key.pem")
    with pytest.raises(ConfigError, match="atlas keys generate"):
        KeyFileSigner.load_or_create(tmp_path / "key.pem")


def test_the_same_message_gets_the_same_signature(tmp_path):
    signer = KeyFileSigner.create(tmp_path / "key.pem")
    assert signer.sign(b"message") == KeyFileSigner.load(tmp_path / "key.pem").sign(b"message") != signer.sign(b"other")


def test_a_missing_key_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match=re.escape(f"atlas keys generate --out {tmp_path / 'key.pem'}")):
        KeyFileSigner.load(tmp_path / "key.pem")


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620, 0o610, 0o666, 0o777])
def test_a_key_that_others_can_read_or_change_is_refused(tmp_path, mode):
    KeyFileSigner.create(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(mode)
    with pytest.raises(ConfigError, match=r"run chmod 6[04]0 on it"):
        KeyFileSigner.load(tmp_path / "key.pem")


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_of_ones_own_is_loaded(tmp_path, mode):
    KeyFileSigner.create(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(mode)
    KeyFileSigner.load(tmp_path / "key.pem")


def test_only_a_key_of_roots_may_be_readable_by_its_group(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    _check_private(status(0o440, 0), "key.pem")
    _check_private(status(0o640, 0), "key.pem")
    _check_private(status(0o600, 1000), "key.pem")
    for refused in (status(0o640, 1000), status(0o440, 1000), status(0o601, 1000), status(0o660, 0), status(0o444, 0)):
        with pytest.raises(ConfigError, match="run chmod"):
            _check_private(refused, "key.pem")


def test_a_key_of_another_user_is_refused(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigError, match="belong to user 1000 or to root"):
        _check_private(status(0o600, 1001), "key.pem")


def test_a_key_behind_a_link_is_loaded_as_orchestrators_mount_secrets(tmp_path):
    created = KeyFileSigner.create(tmp_path / "..data")
    (tmp_path / "key.pem").symlink_to("..data")
    assert KeyFileSigner.load(tmp_path / "key.pem").public_key == created.public_key


def test_a_key_as_openssl_ecparam_writes_it_is_loaded(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    KeyFileSigner.load(write(tmp_path / "key.pem", pem_of(key, PrivateFormat.TraditionalOpenSSL)))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "private key in PEM"),
        (b"\xff" * 100_000, "private key in PEM"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private key in PEM"),
        (
            ec.generate_private_key(ec.SECP256R1())
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "private key in PEM",
        ),
        (pem_of(ec.generate_private_key(ec.SECP384R1())), "ECDSA P-256"),
        (pem_of(ed25519.Ed25519PrivateKey.generate()), "ECDSA P-256"),
        (
            pem_of(ec.generate_private_key(ec.SECP256R1()), encryption=BestAvailableEncryption(b"secret")),
            "without a passphrase",
        ),
    ],
    ids=["empty", "binary", "broken", "public", "p384", "ed25519", "encrypted"],
)
def test_a_file_that_is_not_our_kind_of_key_is_refused_in_one_sentence(tmp_path, content, expected):
    with pytest.raises(ConfigError, match=expected) as refusal:
        KeyFileSigner.load(write(tmp_path / "key.pem", content))
    assert "\n" not in str(refusal.value)


def test_every_half_of_a_key_is_refused(tmp_path):
    pem = pem_of(ec.generate_private_key(ec.SECP256R1()))
    body = len(pem.rstrip(b"\n"))
    for length in range(body):
        with pytest.raises(ConfigError):
            KeyFileSigner.load(write(tmp_path / "key.pem", pem[:length]))


def test_a_folder_a_pipe_and_a_socket_are_no_keys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="to be a file"):
        KeyFileSigner.load(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=r"Is a directory|to be a file"):
        KeyFileSigner.load(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        with pytest.raises(ConfigError, match="expected to read the key"):
            KeyFileSigner.load(tmp_path / "s")


def test_a_key_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    for make in (KeyFileSigner.create, KeyFileSigner.load_or_create):
        with pytest.raises(ConfigError, match="Not a directory"):
            make(tmp_path / "file" / "key.pem")


def test_a_key_that_cannot_be_written_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        KeyFileSigner.create(tmp_path / "key.pem")
    assert os.listdir(tmp_path) == []


def test_a_key_is_on_disk_before_it_has_a_name_and_its_name_before_it_signs(tmp_path, monkeypatch):
    events = []

    def recording(name):
        original = getattr(os, name)

        def call(subject, *arguments):
            path = os.readlink(f"/proc/self/fd/{subject}") if isinstance(subject, int) else os.fspath(subject)
            whole = os.path.isfile(path) and os.stat(path).st_size > 200
            result = original(subject, *arguments)
            events.append((name, "the key" if whole else os.path.basename(path)))
            return result

        monkeypatch.setattr(os, name, call)

    for name in ("fsync", "link", "mkdir"):
        recording(name)
    KeyFileSigner.create(tmp_path / "keys" / "of" / "task.pem")
    home = tmp_path.name
    assert events == [
        ("mkdir", "keys"), ("fsync", home), ("mkdir", "of"), ("fsync", "keys"),
        ("fsync", "the key"), ("link", "the key"), ("fsync", "of"),
    ]  # fmt: skip


def test_who_finds_a_key_while_making_one_has_its_name_brought_to_disk(tmp_path, monkeypatch):
    kept = KeyFileSigner.create(tmp_path / "key.pem")
    synced = []
    original = os.fsync
    monkeypatch.setattr(os.path, "lexists", lambda _: False)  # another process was faster
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.readlink(f"/proc/self/fd/{file}")) or original(file))
    assert KeyFileSigner.load_or_create(tmp_path / "key.pem").public_key == kept.public_key
    assert synced[-1] == str(tmp_path)


def test_no_file_is_left_open(tmp_path):
    before = os.listdir("/proc/self/fd")
    KeyFileSigner.create(tmp_path / "key.pem")
    KeyFileSigner.load_or_create(tmp_path / "key.pem")
    with pytest.raises(ConfigError):
        KeyFileSigner.create(tmp_path / "key.pem")
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("trouble", [UnsupportedAlgorithm("no"), InternalError("no", []), ValueError("no")])
def test_a_key_that_does_not_sign_is_a_signing_error(trouble):
    class Broken(ec.EllipticCurvePrivateKey):
        inner = ec.generate_private_key(ec.SECP256R1())
        curve = key_size = exchange = private_bytes = private_numbers = __copy__ = __deepcopy__ = None

        def public_key(self):
            return self.inner.public_key()

        def sign(self, data, signature_algorithm):  # noqa: ARG002 - named by the class above
            raise trouble

    with pytest.raises(SigningError):
        KeyFileSigner(Broken()).sign(b"message")


CONTENDER = """
import sys
from airflow_provider_atlas.signing.backends.key_file import KeyFileSigner
print("ready", flush=True)
sys.stdin.readline()
print(KeyFileSigner.load_or_create(sys.argv[1]).public_key.sha256)
"""


def test_sixteen_processes_that_start_at_once_get_one_key(tmp_path):
    path = tmp_path / "keys" / "task.pem"
    command = [sys.executable, "-c", CONTENDER, path]
    contenders = [subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True) for _ in range(16)]
    for each in contenders:
        assert each.stdout.readline() == "ready\n"
    for each in contenders:
        each.stdin.write("go\n")
        each.stdin.flush()
    answers = [each.communicate() for each in contenders]
    assert [each.returncode for each in contenders] == [0] * 16, answers
    assert {keys for keys, _ in answers} == {KeyFileSigner.load(path).public_key.sha256 + "\n"}
    assert os.listdir(path.parent) == ["task.pem"]
