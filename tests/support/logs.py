"""Logs to test with: one origin, one key, entries that tell their number, and records as tasks log them."""

import functools
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airflow_provider_atlas.tlog.backends.posix import PosixLog
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.note import VerifierKey

ORIGIN = "log.example/atlas"
SIGNING_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey.of(ORIGIN, SIGNING_KEY)
TASK_KEY = ec.derive_private_key(7, ec.SECP256R1())


def entry(number: int) -> bytes:
    """Return an entry unlike every other, of the size of a hashedrekord."""
    return b"entry %d " % number + b"." * 480


def entries(start: int, end: int) -> list[bytes]:
    """Return the entries ``[start, end)``."""
    return [entry(number) for number in range(start, end)]


@functools.cache
def leaf(number: int) -> HashedRekord:
    """Return a hashedrekord unlike every other, whose signature verifies; the same in every process."""
    digest = hashlib.sha256(b"record %d" % number).digest()
    scheme = ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True)
    spki = TASK_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return HashedRekord(digest=digest, signature=TASK_KEY.sign(digest, scheme), spki=spki)


def record(number: int) -> bytes:
    """Return the entry that is logged for ``leaf(number)``."""
    return leaf(number).to_bytes()


def records(start: int, end: int) -> list[bytes]:
    """Return the records ``[start, end)``."""
    return [record(number) for number in range(start, end)]


def open_log(folder: Path) -> PosixLog:
    """Return the log in ``folder``, as a task of its own would open it."""
    return PosixLog(folder, ORIGIN, SIGNING_KEY)


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve ``folder`` as any web server would, and yield its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
