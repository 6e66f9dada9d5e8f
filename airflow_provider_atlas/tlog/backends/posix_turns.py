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
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, files.PRIVATE)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _wait(path, _number(descriptor))
            yield False
            return
        with _gate_shut(path, descriptor):
            try:
                yield True
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # before the gate, or those behind it find the lock held still
    finally:
        os.close(descriptor)


@contextmanager
def turn(path: str) -> Iterator[None]:
    """Hold the lock file ``path``, however long the queue for it is."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, files.PRIVATE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Who queued shuts a gate as well: or those that come meanwhile find none shut, queue too, and soon all do.
        with _gate_shut(path, descriptor):
            try:
                yield
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


@contextmanager
def _gate_shut(path: str, descriptor: int) -> Iterator[None]:
    number = (_number(descriptor) + 1) % _GATES
    gate = os.open(f"{path}-{number}", os.O_RDWR | os.O_CREAT, files.PRIVATE)
    try:
        # Nobody has waited here for the last sixteen trees; who is still on the way through is let through first.
        fcntl.flock(gate, fcntl.LOCK_EX)
        try:
            os.pwrite(descriptor, bytes([number]), 0)
            yield
        finally:
            fcntl.flock(gate, fcntl.LOCK_UN)
    finally:
        os.close(gate)


def _wait(path: str, number: int) -> None:
    gate = os.open(f"{path}-{number}", os.O_RDWR | os.O_CREAT, files.PRIVATE)
    try:
        fcntl.flock(gate, fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
    finally:
        os.close(gate)


def _number(descriptor: int) -> int:
    return int.from_bytes(os.pread(descriptor, 1, 0), "big") % _GATES
