"""What an append to the log costs: to one task, as the log grows; and to many processes at once.

::

    python benchmarks/log_append.py [--folder DIR] [--rounds N] [--seconds N]

Each append opens the log anew and logs three entries of the size of a hashedrekord, as a task does. Processor time is
printed beside the wall clock's: the difference is the wait for the disk, and for other programs.
"""

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.queues import Queue
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.logs import entries, open_log

SIZES = (0, 10_000, 100_000)
PROCESSES = (1, 4, 16)
ENTRIES = 3
BATCH = 5_000


def times_of(folder: Path, first: int, rounds: int) -> Iterator[tuple[float, float]]:
    """Yield the wall clock's and the processor's milliseconds of each append."""
    for start in range(first, first + rounds * ENTRIES, ENTRIES):
        logged = entries(start, start + ENTRIES)
        wall, processor = time.perf_counter(), time.process_time()
        open_log(folder).append(logged)
        yield (time.perf_counter() - wall) * 1e3, (time.process_time() - processor) * 1e3


def measure_growth(folder: Path, rounds: int) -> None:
    """Print what an append costs at each of ``SIZES``."""
    written = 0
    for size in SIZES:
        for start in range(written, size, BATCH):
            open_log(folder).append(entries(start, min(start + BATCH, size)))
        written = max(written, size)
        wall, processor = zip(*times_of(folder, written, rounds), strict=True)
        written += rounds * ENTRIES
        print(
            f"{size:>7} entries in the log: median {statistics.median(wall):.2f} ms,"
            f" p90 {statistics.quantiles(wall, n=10)[-1]:.2f} ms, processor {statistics.median(processor):.2f} ms"
        )


def append_for(folder: Path, first: int, seconds: float, done: "Queue[int]") -> None:
    """Append entries of its own, from number ``first`` on, and tell how often that was done."""
    end, start = time.monotonic() + seconds, first
    while time.monotonic() < end:
        open_log(folder).append(entries(start, start + ENTRIES))
        start += ENTRIES
    done.put((start - first) // ENTRIES)


def measure_together(folder: Path, processes: int, seconds: float) -> None:
    """Print how many appends ``processes`` bring about together, once the log is found right."""
    open_log(folder)
    done: Queue[int] = multiprocessing.Queue()
    started = [
        multiprocessing.Process(target=append_for, args=(folder, 10_000_000 * number, seconds, done))
        for number in range(processes)
    ]
    for process in started:
        process.start()
    appends = sum(done.get() for _ in started)
    for process in started:
        process.join()
    assert open_log(folder).reader.audit().checkpoint.size == appends * ENTRIES
    print(f"{processes:>3} processes: {appends / seconds:.0f} appends/s, {ENTRIES * appends / seconds:.0f} entries/s")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the logs are written; the system's folder for such things")
    parser.add_argument("--rounds", type=int, default=200, help="appends at each size: 200")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long processes append together: 4")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measure_growth(Path(folder) / "growing", options.rounds)
        for processes in PROCESSES:
            measure_together(Path(folder) / f"shared-{processes}", processes, options.seconds)


if __name__ == "__main__":
    main()
