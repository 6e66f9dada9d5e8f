"""Logs to test with: one origin, one key, entries that tell their number."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_atlas.tlog.backends.posix import PosixLog
from airflow_provider_atlas.tlog.note import VerifierKey

ORIGIN = "log.example/atlas"
SIGNING_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey.of(ORIGIN, SIGNING_KEY)


def entry(number: int) -> bytes:
    """Return an entry unlike every other, of the size of a hashedrekord."""
    return b"entry %d " % number + b"." * 480


def entries(start: int, end: int) -> list[bytes]:
    """Return the entries ``[start, end)``."""
    return [entry(number) for number in range(start, end)]


def open_log(folder: Path) -> PosixLog:
    """Return the log in ``folder``, as a task of its own would open it."""
    return PosixLog(folder, ORIGIN, SIGNING_KEY)
