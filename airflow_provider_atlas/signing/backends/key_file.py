"""A signer whose key is a file: ECDSA P-256, PKCS #8 in PEM, unencrypted, that nobody else can read or change.

See: RFC 5958 (PKCS #8), RFC 7468 (PEM).
"""

import os
import secrets
import stat
from contextlib import suppress

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.signing.backends.memory_key import MemoryKeySigner

_LONGEST = 16_384
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class KeyFileSigner(MemoryKeySigner):
    """A Signer whose private key lies in a file, and is in this process's memory."""

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "KeyFileSigner":
        """Return the signer with the key in the file ``path``.

        Raises ConfigError when there is none, when it is not an unencrypted ECDSA P-256 private key in PEM, or when
        somebody else could have read or changed it.
        """
        try:
            return cls(_parse(_read(path), path))
        except FileNotFoundError as error:
            raise ConfigError(f"expected a key at {path}: make one with `atlas keys generate --out {path}`") from error
        except OSError as error:
            raise ConfigError(f"expected to read the key at {path}, but: {error.strerror}") from error

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> "KeyFileSigner":
        """Make a key, keep it in the new file ``path`` (mode 0600; new folders 0700), and return its signer.

        When it returns, the key is on disk. Raises ConfigError when something is at ``path`` already, or when it
        cannot be written.
        """
        signer = cls(ec.generate_private_key(ec.SECP256R1()))
        if not signer._keep(path):
            raise ConfigError(f"expected nothing at {path}: if that key is to go, move it away first")
        return signer

    @classmethod
    def load_or_create(cls, path: str | os.PathLike[str]) -> "KeyFileSigner":
        """Return the signer with the key in ``path``, made if there is none: however many ask at once, it is one key.

        Raises ConfigError as ``load`` and ``create`` do.
        """
        if not os.path.lexists(path):
            signer = cls(ec.generate_private_key(ec.SECP256R1()))
            if signer._keep(path):
                return signer
        return cls.load(path)

    def _keep(self, path: str | os.PathLike[str]) -> bool:
        """Write the key to ``path``; return whether it is there now, and not what was there before."""
        pem = self._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            place = os.path.abspath(path)
            _make_folder(os.path.dirname(place))
            made = _write_new(place, pem)
            # Whoever lost does so too: it is about to sign with a key whose name may not be on disk yet.
            _sync_folder(os.path.dirname(place))
        except OSError as error:
            raise ConfigError(f"expected to write a key to {path}, but: {error.strerror}") from error
        return made


def _read(path: str | os.PathLike[str]) -> bytes:
    descriptor = os.open(path, _READ)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"expected the key at {path} to be a file")
        _check_private(status, path)
        return file.read(_LONGEST)


def _check_private(status: os.stat_result, path: str | os.PathLike[str]) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise ConfigError(f"expected the key at {path} to belong to user {os.geteuid()} or to root: run chown on it")
    # PostgreSQL's rule. Orchestrators mount a secret as root's, and let a service read it by its group.
    allowed = 0o640 if status.st_uid == 0 else 0o600
    if stat.S_IMODE(status.st_mode) & 0o077 & ~allowed:
        raise ConfigError(f"expected nobody else to read or change the key at {path}: run chmod {allowed:o} on it")


def _parse(pem: bytes, path: str | os.PathLike[str]) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise ConfigError(f"expected the key at {path} without a passphrase: a task has nobody to ask") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"expected a private key in PEM (PKCS #8) at {path}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigError(f"expected an ECDSA P-256 key at {path}: the log takes no other kind")
    return key


def _write_new(path: str, pem: bytes) -> bool:
    # Written under another name, and linked: nobody reads half a key, and of many writers one wins.
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(8)}")
    try:
        with open(os.open(temporary, _WRITE, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    return True


def _make_folder(folder: str) -> None:
    if not os.path.isdir(folder):
        _make_folder(os.path.dirname(folder))
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        _sync_folder(os.path.dirname(folder))


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
