"""The key of a log: an Ed25519 private key in a file, PKCS #8 in PEM, that nobody else can read or change.

Whoever holds this key can sign a second history of the log, so it is made once, never replaced, and kept from others.

See: RFC 8410 (Ed25519 in PKCS #8), RFC 7468 (PEM).
"""

import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from airflow_provider_atlas.errors import ConfigError, LogError
from airflow_provider_atlas.tlog.backends.posix_files import sync_folder

_MAX_BYTES = 16_384
_REFUSED = stat.S_IWGRP | stat.S_IRWXO
"""Group members may read, because that is how orchestrators hand secrets to a service; they may not write."""


def load(path: Path) -> Ed25519PrivateKey:
    """Return the log's key in the file ``path``.

    Raises LogError when the file is missing or cannot be read, and ConfigError when others can read or change it or it
    holds no unencrypted Ed25519 key.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError as error:
        raise LogError(f"the log's key {path} is missing: restore it, or make one for a new log") from error
    except OSError as error:
        raise LogError(f"the log's key {path} cannot be read ({error.strerror}): let this user read it") from error
    try:
        mode = os.fstat(descriptor).st_mode
        pem = os.read(descriptor, _MAX_BYTES)
    except OSError as error:
        raise LogError(f"the log's key {path} cannot be read ({error.strerror}): name a file") from error
    finally:
        os.close(descriptor)
    if mode & _REFUSED:
        raise ConfigError(f"the log's key {path} is open to others: run chmod 600 on it, or mount it with mode 0440")
    return _parse(pem, path)


def create(path: Path) -> Ed25519PrivateKey:
    """Make a key, write it to the new file ``path`` (mode 0600), and return it once it is durable.

    Raises ConfigError when ``path`` exists, for a log cannot outlive its key, and LogError when it cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        _write_new(path, pem)
    except FileExistsError as error:
        raise ConfigError(f"{path} exists: name a new file, because a key in use must never be overwritten") from error
    except OSError as error:
        raise LogError(f"the log's key {path} cannot be written ({error.strerror}): name a folder that can") from error
    return key


def load_or_create(path: Path) -> Ed25519PrivateKey:
    """Return the log's key in ``path``, made when there is none: of many processes at once, one makes it for all.

    Raises as ``load`` and ``create`` do.
    """
    if not path.exists():
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LogError(f"the folder of the log's key {path} cannot be made ({error.strerror})") from error
        with suppress(ConfigError):  # another process was faster: its key is the key
            return create(path)
    return load(path)


def _write_new(path: Path, pem: bytes) -> None:
    # Under a name of its own first, so that no other process reads half a key; link() then refuses to replace one.
    spare = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}")
    spare.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(spare)
    finally:
        spare.unlink(missing_ok=True)
    sync_folder(os.fspath(path.parent))


def _parse(pem: bytes, path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"expected an unencrypted private key in PEM in {path}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"expected an Ed25519 key in {path}, because logs sign their checkpoints with one")
    return key
