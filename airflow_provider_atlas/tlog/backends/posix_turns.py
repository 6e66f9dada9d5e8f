"""Whose turn it is to build the tree, and how the others wait until it is built.

One process at a time holds ``.state/tree-lock``. Those that find it held wait behind a gate, a second lock that its
holder took as well: gate n, which the first byte of ``tree-lock`` names. The next holder takes another gate. If all
waited for the lock itself, whoever is quick could take it again before those that were let go were even awake, and
they would wait for a second tree although theirs was built.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_atlas.tlog.backends import posix_files as files

_GATES = 16


@contextmanager
def turn_or_wait(path: str) -> Iterator[bool]:
    """Hold the lock file ``path`` and yield True; or, when somebody holds it, wait until they do not; yield False."""
    with files.lock_file(path) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _wait(path, _number(descriptor))
            yield False
            return
        with _holding(path, descriptor):
            yield True


@contextmanager
def turn(path: str) -> Iterator[None]:
    """Hold the lock file ``path``, however long the queue for it is."""
    with files.lock_file(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with _holding(path, descriptor):
            yield


@contextmanager
def _holding(path: str, descriptor: int) -> Iterator[None]:
    """Shut a gate until the block ends, and then let go of the lock, which the caller took.

    However it was taken: where one holder shut no gate, those that come meanwhile queue too, and soon all do.
    """
    number = (_number(descriptor) + 1) % _GATES
    # Nobody has waited here for the last sixteen trees; who is still on the way through is let through first.
    with files.locked(_gate(path, number)):
        try:
            os.pwrite(descriptor, bytes([number]), 0)
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # before the gate, or those behind it find the lock held still


def _wait(path: str, number: int) -> None:
    with files.lock_file(_gate(path, number)) as gate:
        fcntl.flock(gate, fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)


def _gate(path: str, number: int) -> str:
    return f"{path}-{number}"


def _number(descriptor: int) -> int:
    return int.from_bytes(os.pread(descriptor, 1, 0), "big") % _GATES
