"""Appends per second to a log that many writers share: in an object store, and in PostgreSQL.

Both run on this machine, with the writers: an S3 server in Python (moto), and PostgreSQL that waits for the disk. So
the figures tell what the log asks of them, and what races cost, rather than what a real store takes for it.

usage: python benchmarks/shared_log.py [SECONDS]
"""

import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.postgres_server import postgres_server
from tests.support.s3_server import CREDENTIALS, s3_server
from tests.support.shared_logs import open_shared, reader_of

ROOT = Path(__file__).parents[1]
ENTRY = 489
"""Bytes in a hashedrekord with a P-256 key."""


def measure(uri: str, writers: int, batch: int, seconds: float) -> tuple[float, float]:
    """Return appends and entries per second, of ``writers`` that append ``batch`` entries at a time."""
    open_shared(uri).append([b"warm"])
    command = [sys.executable, __file__, "--write", uri, str(batch), str(seconds)]
    processes = [
        subprocess.Popen([*command, str(number)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for number in range(writers)
    ]
    for process in processes:  # each has opened the log, and waits for the others
        assert process.stdout
        process.stdout.readline()
    before = size(uri)
    for process in processes:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.flush()
    appends = sum(int(process.communicate()[0]) for process in processes)
    return appends / seconds, (size(uri) - before) / seconds


def size(uri: str) -> int:
    """Return the number of entries in the log."""
    signed = reader_of(uri).latest()
    return signed.checkpoint.size if signed else 0


def write(uri: str, batch: int, seconds: float, number: str) -> None:
    """Append for ``seconds`` once asked to, and print how often."""
    log = open_shared(uri)
    log.append([f"writer {number}".encode()])
    print(flush=True)
    sys.stdin.readline()
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        log.append([f"{number} {count} {at} ".encode().ljust(ENTRY, b".") for at in range(batch)])
        count += 1
    print(count)


def main(seconds: float) -> None:
    """Measure, and print a table."""
    os.environ.update(CREDENTIALS)
    with s3_server() as s3, postgres_server() as postgres:
        print(f"{'log':<12} {'writers':>7} {'batch':>6} {'appends/s':>10} {'entries/s':>10}")
        for name, server in (("s3 (moto)", s3), ("postgresql", postgres)):
            for writers in (1, 8):
                for batch in (1, 64):
                    uri = server.uri(f"bench_{writers}_{batch}")
                    appends, entries = measure(uri, writers, batch, seconds)
                    print(f"{name:<12} {writers:>7} {batch:>6} {appends:>10.1f} {entries:>10.0f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
    else:
        main(float(sys.argv[1]) if sys.argv[1:] else 5.0)
