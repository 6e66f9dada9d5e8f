import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from airflow_provider_atlas.errors import ConfigError, LogError
from airflow_provider_atlas.tlog.backends import log_key


def written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_key_that_was_made_is_loaded_and_private(tmp_path):
    path = tmp_path / "log.pem"
    made = log_key.create(path)
    assert log_key.load(path).private_bytes_raw() == made.private_bytes_raw()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["log.pem"]


def test_key_in_use_is_never_overwritten(tmp_path):
    path = tmp_path / "log.pem"
    log_key.create(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists"):
        log_key.create(path)
    assert path.read_bytes() == before


def test_missing_key_is_the_log_that_is_away(tmp_path):
    with pytest.raises(LogError, match="missing"):
        log_key.load(tmp_path / "log.pem")


def test_folder_in_place_of_the_key_is_told(tmp_path):
    with pytest.raises(LogError, match="cannot be read"):
        log_key.load(tmp_path)


def test_key_in_a_folder_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(LogError, match="cannot be written"):
        log_key.create(tmp_path / "no" / "log.pem")


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o601, 0o620, 0o660])
def test_key_that_others_can_read_or_change_is_refused(tmp_path, mode):
    path = tmp_path / "log.pem"
    log_key.create(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="open to others"):
        log_key.load(path)


def test_key_that_an_orchestrator_mounts_for_a_group_is_accepted(tmp_path):
    path = tmp_path / "log.pem"
    log_key.create(path)
    path.chmod(0o440)
    assert log_key.load(path)


def test_everything_but_an_unencrypted_ed25519_key_is_refused(tmp_path):
    ed25519 = Ed25519PrivateKey.generate()
    encrypted = ed25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    p256 = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for number, content in enumerate((b"", b"hello", encrypted, p256)):
        with pytest.raises(ConfigError, match="expected"):
            log_key.load(written(tmp_path / f"{number}.pem", content))
