"""Fuzz one parser with atheris, guided by coverage; what it finds is kept in its corpus.

::

    python -m tests.fuzzing.fuzz tdx-quote --seconds 600
    python -m tests.fuzzing.fuzz --list
"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["airflow_provider_atlas"]):
    from tests.fuzzing.seeds import seeds
    from tests.fuzzing.targets import CORPUS, TARGETS

_LARGEST = 40_000


def _seeded(name: str, folder: Path) -> None:
    for number, example in enumerate(seeds().get(name, ())):
        (folder / f"seed-{number}").write_bytes(example)


def main() -> None:
    """Fuzz until the time is up, or something is found: then the input lies in the corpus, and this ends with 77."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", choices=sorted(TARGETS), help="the parser")
    parser.add_argument("--list", action="store_true", help="list the parsers, and do nothing else")
    parser.add_argument("--seconds", type=int, default=60, help="how long: 60")
    options = parser.parse_args()
    if options.list or not options.target:
        print(*sorted(TARGETS), sep="\n")
        return
    kept = CORPUS / options.target
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        _seeded(options.target, Path(scratch))
        flags = [f"-max_total_time={options.seconds}", f"-max_len={_LARGEST}", f"-artifact_prefix={kept}/found-"]
        # What is new goes to the first folder, which is gone afterwards; what is kept is read from the second.
        atheris.Setup([sys.argv[0], scratch, str(kept), "-print_final_stats=1", *flags], TARGETS[options.target].check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
