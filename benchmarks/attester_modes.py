"""What a quote for each task, for a session, or for a batch costs: each alone, and 200 tasks of a machine at once.

::

    python benchmarks/attester_modes.py [--records N] [--latency SECONDS] [--slow-tasks N]

The first table is one record after another, from its link to the archive, with the simulated TEE, whose quotes cost
next to nothing: what is left is what a mode adds to a record. Variants take turns, record by record; the promise is
held to processor time, which other load of the machine leaves alone. The second is as
many records at once, on a machine that takes ``latency`` for a quote and makes one at a time, as TDX does. Of the mode
``task`` only ``slow-tasks`` are made there: it is a quote each, and nobody needs to wait for 200.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from airflow_provider_atlas.attest.pending import Attachments, PendingRecord, complete
from airflow_provider_atlas.attest.seal import Sealer
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tee.attester import Attester
from airflow_provider_atlas.tee.evidence import Evidence
from airflow_provider_atlas.wiring import sessions, signers, tees, workers
from tests.support.small_run import link, pipeline

MODES = ("task", "session", "batch")
PROMISE = 1.0  # ms that a session adds to a record


class Slow:
    """An attester that takes ``latency`` for a quote, makes one at a time, and counts them."""

    def __init__(self, attester: Attester, latency: float) -> None:
        self._attester = attester
        self._latency = latency
        self._machine = threading.Lock()
        self.quotes = 0

    def attest(self, report_data: bytes) -> Evidence:
        """Return a quote, in time."""
        with self._machine:
            time.sleep(self._latency)
            self.quotes += 1
            return self._attester.attest(report_data)


def links(number: int) -> Sequence[Link]:
    """Return the links of ``number`` mapped tasks."""
    return [link("train", {"file:///a": "a"}, {f"file:///{place}": "b"}, map_index=place) for place in range(number)]


def worker(folder: Path, mode: str) -> workers.Worker:
    """Return a worker in ``mode``, or without a TEE."""
    section = (
        {"attester": "none:"} if mode == "none" else {"attester": f"simulated:{folder}/tee", "attester_mode": mode}
    )
    return workers.worker(Settings.parse(section, home=str(folder / mode)))


def one_after_another(folder: Path, number: int) -> Mapping[str, list[tuple[float, float]]]:
    """Return how long each record took, and its processor time, in milliseconds, by mode."""
    made = {mode: worker(folder, mode) for mode in ("none", *MODES)}
    taken: dict[str, list[tuple[float, float]]] = {mode: [] for mode in made}
    attachments = Attachments(pipeline=pipeline().to_bytes(), openings=b"{}")
    for each in links(number + 1):  # the first pays for imports, and opens the session
        for mode, one in made.items():
            begin, worked = time.perf_counter(), time.process_time()
            complete(PendingRecord(link=each, attachments=attachments), one.sealer, one.archive)
            taken[mode].append(((time.perf_counter() - begin) * 1000, (time.process_time() - worked) * 1000))
    return {mode: values[1:] for mode, values in taken.items()}


def at_once(folder: Path, mode: str, number: int, latency: float) -> tuple[float, int]:
    """Return how many seconds ``number`` records took that were vouched for at once, and how many quotes."""
    settings = worker(folder, mode).settings
    attester = tees.attester(settings)
    assert attester is not None
    slow = Slow(attester, latency)
    sealer: Sealer = sessions.sealer(
        settings, signer=lambda: signers.signer(settings), attester=slow, log=worker(folder, mode).sealer.log
    )
    begin = time.perf_counter()
    with ThreadPoolExecutor(number) as threads:
        for done in [threads.submit(sealer.vouch, each) for each in links(number)]:
            done.result()
    return time.perf_counter() - begin, slow.quotes


def _one_after_another(taken: Mapping[str, list[tuple[float, float]]]) -> float:
    """Print the first table; return how many milliseconds a session adds."""
    print(f"{'one after another':20} {'n':>5} {'median':>10} {'p90':>10} {'processor':>10} {'more':>10}")
    worked = {mode: statistics.median(each for _, each in values) for mode, values in taken.items()}
    for mode, values in taken.items():
        waited = [each for each, _ in values]
        median, p90 = statistics.median(waited), statistics.quantiles(waited, n=10)[-1]
        more = worked[mode] - worked["none"]
        print(f"{mode:20} {len(values):5} {median:7.2f} ms {p90:7.2f} ms {worked[mode]:7.2f} ms {more:+7.2f} ms")
    return worked["session"] - worked["none"]


def main() -> int:
    """Measure, print the tables, and return 1 when the promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200)
    parser.add_argument("--latency", type=float, default=1.0, help="seconds that the slow machine takes for a quote")
    parser.add_argument("--slow-tasks", type=int, default=10, help="records in the mode task on the slow machine")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        more = _one_after_another(one_after_another(folder, arguments.records))
        print(f"\n{f'a quote takes {arguments.latency:g} s':20} {'n':>5} {'all':>10} {'a record':>10} {'quotes':>7}")
        for mode in MODES:
            number = arguments.slow_tasks if mode == "task" else arguments.records
            seconds, quotes = at_once(folder / "slow", mode, number, arguments.latency)
            print(f"{mode:20} {number:5} {seconds:8.2f} s {seconds / number * 1000:7.1f} ms {quotes:7}")
    print(f"\npromise (a session adds at most {PROMISE:g} ms): {'kept' if more <= PROMISE else 'NOT KEPT'}")
    return 0 if more <= PROMISE else 1


if __name__ == "__main__":
    sys.exit(main())
