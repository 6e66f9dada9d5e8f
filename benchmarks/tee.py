"""What evidence costs: to make, and to judge, by TEE.

::

    python benchmarks/tee.py [--rounds N]

*Cold*: the first verification in a process, with what it has to import. *Cached*: those after it, of other quotes of
the same platform, with the same endorsements. Simulated platforms sign at once; what silicon takes besides is told in
``docs/confidential-workers.md``. Processor time is printed too, since it depends less on what else runs.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.wiring import tees

PLATFORMS = ("simulated", "simulated-snp")

COLD = """
import sys, time
from datetime import UTC, datetime
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.wiring import tees
attester = tees.attester(Settings.parse({"attester": sys.argv[1]}, home="/nowhere"))
shown = attester.attest(bytes(64))
began = time.process_time()
verifier = tees.evidence_verifiers()[shown.tee]
verifier.verify(shown, development_roots={attester.root_sha256}, at=datetime.now(UTC))
print((time.process_time() - began) * 1e3)
"""


def timed(action: Callable[[int], object], rounds: int) -> str:
    """Return the median and the 99th percentile of ``action`` in milliseconds, and the processor's median."""
    wall, processor = list[float](), list[float]()
    for number in range(rounds):
        began, worked = time.perf_counter(), time.process_time()
        action(number)
        wall.append((time.perf_counter() - began) * 1e3)
        processor.append((time.process_time() - worked) * 1e3)
    p99 = statistics.quantiles(wall, n=100)[98]
    return f"median {statistics.median(wall):.2f} ms, p99 {p99:.2f} ms, processor {statistics.median(processor):.2f} ms"


def measure(uri: str, rounds: int) -> None:
    """Print what evidence of the attester ``uri`` costs."""
    attester = tees.attester(Settings.parse({"attester": uri}, home="/nowhere"))
    assert attester is not None
    root: str = getattr(attester, "root_sha256")  # noqa: B009 - what simulators have, and Attester has not
    shown = [attester.attest(number.to_bytes(64, "big")) for number in range(rounds)]
    tee, now = shown[0].tee, datetime.now(UTC)
    verifier = tees.evidence_verifiers()[tee]
    verifier.verify(shown[0], development_roots={root}, at=now)
    cold = [float(subprocess.check_output([sys.executable, "-c", COLD, uri])) for _ in range(3)]
    print(f"{tee}: a quote: {timed(lambda number: attester.attest(number.to_bytes(64, 'big')), rounds)}")
    print(f"{tee}: a verification, cold: processor {statistics.median(cold):.1f} ms")
    judged = timed(lambda number: verifier.verify(shown[number], development_roots={root}, at=now), rounds)
    print(f"{tee}: a verification, cached: {judged}", flush=True)


def main() -> None:
    """Measure each simulated platform."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300, help="quotes of each platform: 300")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for scheme in PLATFORMS:
            measure(f"{scheme}:{folder}/{scheme}", options.rounds)


if __name__ == "__main__":
    main()
