"""Logs that many processes share, and processes that share them.

``python -m tests.support.shared_logs URI NOTES WRITER END SEEN`` appends what ``batches(WRITER, END)`` gives, opens the
log anew now and then as a task does, and writes to ``NOTES/WRITER`` what was acknowledged.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from airflow_provider_atlas import merkle
from airflow_provider_atlas.tlog.backends.log_reader import LogReader
from airflow_provider_atlas.tlog.backends.object_store import ObjectStoreLog
from airflow_provider_atlas.tlog.backends.postgres import PostgresLog
from airflow_provider_atlas.tlog.backends.sources import open_source
from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.tile import TileTree, tiles_of
from airflow_provider_atlas.tlog.witness import Cosign
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY

ROOT = Path(__file__).parents[2]


def open_shared(uri: str, seen: Path | None = None, cosign: Cosign | None = None) -> ObjectStoreLog | PostgresLog:
    """Return the log at ``uri``, as a task of its own would open it."""
    kind = ObjectStoreLog if uri.startswith("s3:") else PostgresLog
    return kind(uri, ORIGIN, SIGNING_KEY, seen=seen, cosign=cosign)


def reader_of(uri: str) -> LogReader:
    """Return a reader of the log at ``uri``, as an auditor would open it."""
    return LogReader(open_source(uri), KEY)


def copy_public(uri: str, folder: Path) -> Checkpoint:
    """Copy what the log at ``uri`` publishes to ``folder``, and return its checkpoint."""
    reader = reader_of(uri)
    signed = reader.latest()
    assert signed
    for tile in tiles_of(signed.checkpoint.size):
        path = folder / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(reader.tile(tile))
    (folder / "checkpoint").write_bytes(signed.note.to_bytes())
    return signed.checkpoint


def batches(writer: str, end: int) -> Iterator[list[bytes]]:
    """Yield ``end`` entries of ``writer`` in batches of one to three, some of which other writers log too."""
    number = 0
    while number < end:
        batch = [f"{writer} {at} ".encode() + b"." * 400 for at in range(number, min(number + 1 + number % 3, end))]
        number += len(batch)
        yield [*batch, b"everybody's %d" % number] if number % 5 == 0 else batch


def start_writers(uri: str, notes: Path, writers: list[str], end: int, seen: Path) -> "list[subprocess.Popen[bytes]]":
    """Start a process for each of ``writers``."""
    command = [sys.executable, "-m", "tests.support.shared_logs", uri, str(notes)]
    return [subprocess.Popen([*command, writer, str(end), str(seen)], cwd=ROOT) for writer in writers]


def assert_nothing_is_lost(uri: str, notes: Path) -> Checkpoint:
    """Audit the log, and compare it with all that was acknowledged in ``notes``."""
    reader = reader_of(uri)
    now = reader.audit().checkpoint
    logged, told = list(reader.entries(0, now.size)), dict[int, Checkpoint]()
    assert len(set(logged)) == len(logged)
    for path in notes.iterdir():
        for line in path.read_text().split("\n")[:-1]:  # the last note may have been cut short, by the writer's death
            entry, receipt = map(bytes.fromhex, line.split(" "))
            read = Receipt.parse(receipt)
            then = read.check(entry, ORIGIN, [KEY])
            assert logged[read.index] == entry
            assert told.setdefault(then.size, then) == then
    tree = TileTree(now.size, functools.cache(reader.tile))
    for then in told.values():
        merkle.check_consistency(then.size, now.size, then.root, now.root, tree.consistency_proof(then.size))
    return now


def main(uri: str, notes: Path, writer: str, end: int, seen: Path) -> None:
    log = open_shared(uri, seen)
    acknowledged = os.open(notes / writer, os.O_WRONLY | os.O_CREAT)
    for turn, batch in enumerate(batches(writer, end)):
        if turn % 4 == 0:
            log = open_shared(uri, seen)
        lines = [
            f"{entry.hex()} {receipt.to_bytes().hex()}\n"
            for entry, receipt in zip(batch, log.append(batch), strict=True)
        ]
        os.write(acknowledged, "".join(lines).encode())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), Path(sys.argv[5]))
