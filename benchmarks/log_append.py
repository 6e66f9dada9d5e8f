"""What the log in a folder costs: to one task, as the log grows; to many processes at once; to prove, and to audit.

::

    python benchmarks/log_append.py [--folder DIR] [--seconds N] [--sizes N …] [--processes N …] [--beside]

*Growth*: each append opens the log anew and logs three entries of the size of a hashedrekord, as a task does.
*Together*: each process opens the log once, as a worker does, and appends one entry at a time; ``sync`` returns a
receipt, ``deferred`` an index, both durable. The log is audited after each. ``--beside`` measures tlog-scales too, on
the same disk: one writer, which waits for the disk as often as it does, and promises nothing after a crash.
"""

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.logs import entries, open_log

ENTRIES = 3
BATCH = 5_000
ROUNDS = 100


def times_of(folder: Path, first: int, rounds: int) -> Iterator[tuple[float, float]]:
    """Yield the wall clock's and the processor's milliseconds of each append."""
    for start in range(first, first + rounds * ENTRIES, ENTRIES):
        logged = entries(start, start + ENTRIES)
        wall, processor = time.perf_counter(), time.process_time()
        open_log(folder).append(logged)
        yield (time.perf_counter() - wall) * 1e3, (time.process_time() - processor) * 1e3


def measure_growth(folder: Path, sizes: Sequence[int]) -> None:
    """Print what an append costs at each of ``sizes``, and what a proof and an audit do at the last one."""
    written = 0
    for size in sizes:
        began, before = time.perf_counter(), written
        for start in range(written, size, BATCH):
            open_log(folder).append(entries(start, min(start + BATCH, size)))
        filled, written = time.perf_counter() - began, max(written, size)
        wall, processor = zip(*times_of(folder, written, ROUNDS), strict=True)
        written += ROUNDS * ENTRIES
        grown = f"; filled at {(size - before) / filled:.0f} entries/s" if size else ""
        print(
            f"{size:>8} entries in the log: median {statistics.median(wall):.2f} ms,"
            f" p90 {statistics.quantiles(wall, n=10)[-1]:.2f} ms,"
            f" processor {statistics.median(processor):.2f} ms{grown}",
            flush=True,
        )
    reader, began = open_log(folder).reader, time.perf_counter()
    for index in range(0, written, max(written // 200, 1)):
        reader.receipt(index)
    proofs = len(range(0, written, max(written // 200, 1)))
    print(f"a proof in a log of {written}: {(time.perf_counter() - began) / proofs * 1e3:.2f} ms")
    began = time.perf_counter()
    reader.audit()
    print(f"its audit: {time.perf_counter() - began:.1f} s")


def append_for(folder: Path, first: int, seconds: float, how: str, ready: Barrier, done: "Queue[list[float]]") -> None:
    """Append entries of its own, one at a time, from number ``first`` on, and tell how long each took (ms)."""
    log, took = open_log(folder), list[float]()
    logged = entries(first, first + int(seconds * 8000))
    ready.wait()
    end = time.monotonic() + seconds
    for entry in logged:
        if time.monotonic() >= end:
            break
        began = time.perf_counter()
        if how == "sync":
            log.append([entry])
        else:
            log.sequence([entry])
        took.append((time.perf_counter() - began) * 1e3)
    done.put(took)


def measure_together(folder: Path, processes: int, seconds: float, how: str) -> None:
    """Print how many appends ``processes`` bring about together, once the log is found right."""
    open_log(folder)
    done: Queue[list[float]] = multiprocessing.Queue()
    ready = multiprocessing.Barrier(processes)
    started = [
        multiprocessing.Process(target=append_for, args=(folder, 10_000_000 * number, seconds, how, ready, done))
        for number in range(processes)
    ]
    for process in started:
        process.start()
    took = [each for _ in started for each in done.get()]
    for process in started:
        process.join()
    log = open_log(folder)
    log.integrate()
    assert log.reader.audit().checkpoint.size == len(took)
    p50, p99 = (statistics.quantiles(took, n=100)[at] for at in (49, 98))
    print(
        f"{how:>8}, {processes:>2} processes: {len(took) / seconds:6.0f} durable appends/s,"
        f" p50 {p50:6.2f} ms, p99 {p99:6.2f} ms",
        flush=True,
    )


def measure_beside(folder: Path, seconds: float) -> None:
    """Print how many appends one writer of tlog-scales brings about, by one entry and by 256."""
    from tlog_scales.signing import PlainEd25519Signer
    from tlog_scales.writer import TilesWriter

    signers = [PlainEd25519Signer("log.example", Ed25519PrivateKey.generate())]

    for size in (1, 256):
        writer = TilesWriter.create(folder / f"scales-{size}", "log.example")
        end, made = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            for entry in entries(made, made + size):
                writer.add_leaf(entry)
            writer.commit(signers)
            made += size
        print(f"tlog-scales, one writer, {size} at a time: {made / seconds:.0f} entries/s", flush=True)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the logs are written; the system's folder for such things")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long processes append together: 4")
    parser.add_argument("--sizes", type=int, nargs="*", default=[0, 10_000, 100_000], help="the sizes of the log")
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 4, 16, 64], help="how many append together")
    parser.add_argument("--beside", action="store_true", help="measure tlog-scales, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for how in ("sync", "deferred"):
            for processes in options.processes:
                measure_together(Path(folder) / f"{how}-{processes}", processes, options.seconds, how)
        measure_growth(Path(folder) / "growing", options.sizes)
        if options.beside:
            measure_beside(Path(folder), options.seconds)


if __name__ == "__main__":
    main()
