"""Writers that are killed, and machines that lose power, at every step: nothing that was acknowledged is lost."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_provider_atlas import merkle
from airflow_provider_atlas.tlog.backends.posix_reader import PosixLogReader
from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.receipt import Receipt
from tests.support.logs import KEY, ORIGIN, entries, entry, open_log

ROUNDS = 8
WRITERS = 5
JOURNAL = ".state/journal/00000000000000000000.log"
ROOT = Path(__file__).parents[3]

# Each writer appends as fast as it can, opens the log anew as a task does, and notes each receipt once it has it.
PROGRAM = f"""
import os, sys
from pathlib import Path
from tests.support.logs import open_log
folder, acknowledged, turn = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
open_log(folder)
writer = next((writer for writer in range(1, {WRITERS}) if os.fork() == 0), 0)
notes = os.open(acknowledged / f"{{turn}}-{{writer}}", os.O_WRONLY | os.O_CREAT)
print("writing", flush=True)
for number in range(1_000_000):
    logged = [f"{{turn}} {{writer}} {{number}} {{at}} ".encode() + b"." * 400 for at in range(1 + number % 3)]
    for entry, receipt in zip(logged, open_log(folder).append(logged)):
        os.write(notes, entry.hex().encode() + b" " + receipt.to_bytes().hex().encode() + b"\\n")
"""


def write_until_killed(folder: Path, acknowledged: Path, turn: int) -> None:
    command = [sys.executable, "-c", PROGRAM, str(folder), str(acknowledged), str(turn)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True) as writers:
        assert writers.stdout
        writers.stdout.readline()
        time.sleep(random.Random(turn).uniform(0.02, 0.4))
        os.killpg(writers.pid, signal.SIGKILL)


def assert_all_is_there(folder: Path, acknowledged: Path) -> Checkpoint:
    audit = PosixLogReader(folder, KEY).audit()
    logged = list(PosixLogReader(folder, KEY).entries(0, audit.checkpoint.size))
    assert len(set(logged)) == len(logged)
    for path in acknowledged.iterdir():
        for line in path.read_text().split("\n")[:-1]:  # the last note may have been cut short, by the same death
            entry, _, receipt = line.partition(" ")
            told = Receipt.parse(bytes.fromhex(receipt))
            told.check(bytes.fromhex(entry), ORIGIN, [KEY])
            assert logged[told.index] == bytes.fromhex(entry)
    return audit.checkpoint


def test_nothing_that_was_acknowledged_is_lost_when_writers_are_killed(tmp_path: Path):
    folder, acknowledged = tmp_path / "log", tmp_path / "acknowledged"
    acknowledged.mkdir()
    before = Checkpoint(origin=ORIGIN, size=0, root=merkle.EMPTY_ROOT)
    for turn in range(ROUNDS):
        write_until_killed(folder, acknowledged, turn)
        open_log(folder).append([b"after the crash %d" % turn])
        now = assert_all_is_there(folder, acknowledged)
        assert now.size > before.size
        proof = PosixLogReader(folder, KEY).tree(now.size).consistency_proof(before.size)
        merkle.check_consistency(before.size, now.size, before.root, now.root, proof)
        before = now
    assert sum(len(path.read_text().splitlines()) for path in acknowledged.iterdir()) > ROUNDS * WRITERS


@pytest.fixture(scope="session")
def deaths(memory: Path) -> list[Path]:
    """The log of a writer that filled a tile, dead before each of its system calls. The last one lived."""
    folder, out = memory / "whole", memory / "deaths"
    out.mkdir()
    for start in (0, 200, 253):
        open_log(folder).append(entries(start, min(start + 200, 254)))
    numbers = [str(number) for number in (254, 258)]
    command = [sys.executable, "-m", "tests.support.dying_writer", str(folder), str(out), *numbers]
    subprocess.run(command, cwd=ROOT, check=True)
    return sorted((path for path in out.iterdir() if path.is_dir()), key=lambda path: int(path.name))


def assert_log_goes_on(folder: Path) -> None:
    receipts = open_log(folder).append(entries(0, 258))
    assert [receipt.index for receipt in receipts] == list(range(258))
    (receipt,) = open_log(folder).append([entry(258)])
    assert receipt.check(entry(258), ORIGIN, [KEY]) == PosixLogReader(folder, KEY).audit().checkpoint
    assert list(PosixLogReader(folder, KEY).entries(0, 259)) == entries(0, 259)


def test_writer_that_dies_before_any_of_its_system_calls_leaves_a_log_that_goes_on(deaths: list[Path], tmp_path: Path):
    assert len(deaths) > 30
    for death in deaths:
        folder = Path(shutil.copytree(death, tmp_path / death.name))
        before = PosixLogReader(folder, KEY).audit().checkpoint  # what is published stands on tiles that are there
        assert before.size in (254, 258)
        assert_log_goes_on(folder)


def test_power_failure_at_any_system_call_takes_back_nothing_that_was_seen(deaths: list[Path], tmp_path: Path):
    for death in deaths:
        folder = Path(shutil.copytree(death, tmp_path / death.name))
        alive = death.with_suffix(".disk").read_text().endswith("alive\n")
        lose_power(folder, on_disk(death))
        (receipt,) = open_log(folder).append([entry(1000)])  # another history than the one that was being written
        assert receipt.index == 258 or (receipt.index == 254 and not alive)
        reader, seen = PosixLogReader(folder, KEY), PosixLogReader(death, KEY).audit().checkpoint
        assert reader.audit().checkpoint == receipt.check(entry(1000), ORIGIN, [KEY])
        assert reader.tree(seen.size).root() == seen.root
        for path in (death / "tile").rglob("*"):
            now = folder / path.relative_to(death)
            assert path.is_dir() or not now.exists() or now.read_bytes() == path.read_bytes()
    assert alive


def test_what_is_written_once_in_256_entries_is_on_the_disk_when_its_writer_is_done(deaths: list[Path]):
    # In a small log its loss would be seen and mended. In a large one, nobody would look for years.
    assert {"tile/entries/000", "tile/0/000", "tile/1/000.p/1"} <= on_disk(deaths[-1]).keys()


def on_disk(death: Path) -> dict[str, int]:
    """Return the names in the log that the disk was asked to keep, with the size that each then had."""
    sizes = {str(death / JOURNAL): (death.parents[1] / "whole" / JOURNAL).stat().st_size}
    named: dict[str, int] = {}
    kept = {".state/format.json": 0}
    for line in death.with_suffix(".disk").read_text().splitlines():
        what, *about = line.split("\t")
        if what == "synced":
            sizes[about[0]] = int(about[1])
            kept |= {path: size for path, size in named.items() if os.path.dirname(death / path) == about[0]}
        elif what == "renamed" and about[0] in sizes:
            named[os.path.relpath(about[1], death)] = sizes.pop(about[0])
    return {**kept, JOURNAL: sizes[str(death / JOURNAL)]}


def lose_power(folder: Path, disk: dict[str, int]) -> None:
    """Leave of the log in ``folder`` what the disk was asked to keep, and of the rest rubbish."""
    os.truncate(folder / JOURNAL, disk[JOURNAL])
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) not in disk:
            path.write_bytes(path.read_bytes()[:1])
