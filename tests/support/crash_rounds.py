"""Writers that are killed, round after round, and checkers that share no code with the log.

::

    python -m tests.support.crash_rounds --rounds 300 [--seed N] [--folder DIR]

In each round eight processes write to one log, by ``append`` (sync) and by ``sequence`` (deferred), and note what they
were told. After a moment, one after another or all at once, they are killed (SIGKILL). Then

- every entry that was acknowledged must be at its index, and no index may have been told for two entries;
- no path below ``tile/`` may ever hold two contents, looked at all the while;
- the auditor in Go (``golang.org/x/mod/sumdb``) must accept the log, with receipts of every round, and Tessera's
  ``fsck`` too, both every 25 rounds and at the end.

Nothing here but the writers reads or writes the log with our code.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.go_tool import built
from tests.support.logs import KEY, ORIGIN

ROOT = Path(__file__).parents[2]
AUDITOR = ROOT / "tests/interop/go"
FSCK = "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4"
WRITERS = 8
EVERY = 25
RECEIPTS = 20

# Each process opens the log anew now and then, as tasks do. What it was told it notes, by one system call each.
PROGRAM = """
import os, sys
from pathlib import Path
from tests.support.logs import open_log
folder, notes, turn = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
open_log(folder)
writer = 0
for number in range(1, int(sys.argv[4])):
    if os.fork() == 0:
        writer = number
        break
out = os.open(notes / f"{turn}-{writer}", os.O_WRONLY | os.O_CREAT)
os.write(1, b"%d\\n" % os.getpid())
for number in range(1_000_000):
    log = log if number % 5 else open_log(folder)
    logged = [f"{turn} {writer} {number} {at} ".encode() + b"." * 400 for at in range(1 + number % 3)]
    if (writer + int(turn)) % 2:
        told = [(index, b"-") for index in log.sequence(logged)]
    else:
        told = [(receipt.index, receipt.to_bytes().hex().encode()) for receipt in log.append(logged)]
    for entry, (index, receipt) in zip(logged, told):
        os.write(out, b"%d %s %s\\n" % (index, entry.hex().encode(), receipt))
"""


class LostError(Exception):
    """The log broke its word."""


@dataclass
class Watch:
    """What every path below ``tile/`` held when it was first seen; a change of it is kept as ``problem``."""

    folder: Path
    known: dict[str, bytes] = field(default_factory=dict)
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    problem: str = ""

    def look(self, *, again: bool = False) -> None:
        """Compare what is new or was written anew with what was there; ``again``: all there is."""
        for parent, _, names in os.walk(self.folder / "tile"):
            for name in names:
                path = f"{parent}/{name}"
                try:
                    status = os.stat(path)
                    if not again and self.seen.get(path) == (status.st_ino, status.st_mtime_ns):
                        continue
                    digest = hashlib.sha256(Path(path).read_bytes()).digest()
                except FileNotFoundError:
                    continue  # a partial tile, which its full one has replaced
                self.seen[path] = status.st_ino, status.st_mtime_ns
                if self.known.setdefault(path, digest) != digest:
                    self.problem = f"{path} held two contents"


def kill_writers(folder: Path, notes: Path, turn: int, chance: random.Random) -> None:
    """Let the writers of one round begin, and kill them after a moment."""
    command = [sys.executable, "-c", PROGRAM, str(folder), str(notes), str(turn), str(WRITERS)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True) as first:
        assert first.stdout
        pids = [int(first.stdout.readline()) for _ in range(WRITERS)]
        time.sleep(chance.uniform(0.02, 0.3))
        if turn % 3 == 0:
            for pid in chance.sample(pids, WRITERS - 1):
                os.kill(pid, signal.SIGKILL)
                time.sleep(chance.uniform(0.0, 0.02))
        os.killpg(first.pid, signal.SIGKILL)


def fsck(folder: Path, vkey: Path, *, patience: float = 600) -> str:
    """Return what Tessera's ``fsck`` says of the log in ``folder``; it exits with 0 whatever it found.

    Of a full tile that is wrong it says nothing and waits for ever (1.0.4), so ``patience`` (seconds) ends it.
    """
    program = built("fsck", "tessera-v1.0.4", "install", FSCK)
    command = [program, f"--storage_url=file://{folder}", f"--public_key={vkey}", "--ui=false"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=patience).stderr
    except subprocess.TimeoutExpired:
        return "no verdict"


def accepted(said: str, size: int) -> bool:
    """Whether ``fsck`` said that it accepts a log of ``size`` entries."""
    return f"Successfully fsck'd log with size {size} " in said


class Checked:
    """What the writers were told, and whether the log kept its word."""

    def __init__(self, folder: Path, work: Path) -> None:
        self.folder = folder
        self.watch = Watch(folder)
        self.promised: dict[int, bytes] = {}
        self.entries: list[bytes] = []
        self._receipts = work / "receipts"
        self._receipts.mkdir()
        self._vkey = work / "vkey"
        self._vkey.write_text(f"{KEY}\n")
        version = hashlib.sha256((AUDITOR / "main.go").read_bytes()).hexdigest()[:16]
        self._auditor = built("interop", version, "install", ".", folder=AUDITOR)

    def read_notes(self, notes: Path, turn: int) -> None:
        """Take down what the writers of round ``turn`` were told."""
        lines = [line for path in sorted(notes.glob(f"{turn}-*")) for line in path.read_text().split("\n")[:-1]]
        told = [line.split(" ") for line in lines]  # a line that was cut short, by the same death, is left out
        for index, entry, _ in told:
            if self.promised.setdefault(int(index), bytes.fromhex(entry)) != bytes.fromhex(entry):
                raise LostError(f"index {index} was told for two entries")
        with_receipt = [line for line in told if line[2] != "-"]
        for index, entry, receipt in with_receipt[-RECEIPTS:]:
            path = self._receipts / f"{turn}-{index}"
            path.with_suffix(".entry").write_bytes(bytes.fromhex(entry))
            path.with_suffix(".tlog-proof").write_bytes(bytes.fromhex(receipt))

    def check(self, *, whole: bool) -> None:
        """Raise LostError when something that was acknowledged is not there, or a checker refuses the log."""
        before, size = len(self.entries), checkpoint_size(self.folder)
        self.entries = [] if whole else self.entries[: before - before % 256]
        self.entries += entries_of(self.folder, len(self.entries), size)
        for index, entry in self.promised.items():
            if (whole or index >= before) and (index >= size or self.entries[index] != entry):
                raise LostError(f"the entry that was promised index {index} is not there")
        if len(self.entries) < before or len(set(self.entries)) < len(self.entries):
            raise LostError("the log shrank, or holds an entry twice")
        self.watch.look(again=whole)
        if self.watch.problem:
            raise LostError(self.watch.problem)
        if whole:
            self._run(self._auditor, self.folder, KEY, self._receipts)
            said = fsck(self.folder, self._vkey)
            if not accepted(said, size):
                raise LostError(f"fsck refuses the log: {said[-400:]}")

    def _run(self, *command: object) -> None:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise LostError(f"{command[0]} refuses the log: {done.stdout}{done.stderr}")


def checkpoint_size(folder: Path) -> int:
    """Return the size that the log's checkpoint says."""
    origin, size, _ = (folder / "checkpoint").read_text().split("\n")[:3]
    assert origin == ORIGIN
    return int(size)


def entries_of(folder: Path, start: int, size: int) -> list[bytes]:
    """Return the entries from ``start``, a multiple of 256, up to ``size``, as the log's bundles spell them."""
    entries: list[bytes] = []
    for first in range(start, size, 256):
        name = f"{first // 256:06d}"
        path = folder / "tile/entries" / (f"x{name[:3]}/{name[3:]}" if int(name) > 999 else name[3:])
        partial = path.with_name(f"{path.name}.p") / str(size - first)
        content, at = (path if path.exists() else partial).read_bytes(), 0
        while at < len(content):
            end = at + 2 + int.from_bytes(content[at : at + 2], "big")
            entries.append(content[at + 2 : end])
            at = end
    return entries[: size - start]


def append_after(folder: Path, turn: int) -> None:
    """Let a process of its own append, as the next task does."""
    program = (
        "import sys; from pathlib import Path; from tests.support.logs import open_log;"
        f"open_log(Path(sys.argv[1])).append([b'after round {turn}'])"
    )
    subprocess.run([sys.executable, "-c", program, str(folder)], cwd=ROOT, check=True)


def run_rounds(work: Path, rounds: int, seed: int, every: int = EVERY) -> str:
    """Kill writers for so many ``rounds``; return what was found right. Raises LostError for what was not."""
    folder, notes, chance = work / "log", work / "notes", random.Random(seed)
    notes.mkdir()
    checked, over = Checked(folder, work), threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            checked.watch.look()

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for turn in range(rounds):
            kill_writers(folder, notes, turn, chance)
            append_after(folder, turn)
            checked.read_notes(notes, turn)
            whole = turn % every == every - 1 or turn == rounds - 1
            checked.check(whole=whole)
            if whole:
                print(f"round {turn + 1}: {len(checked.entries)} entries, all is well", flush=True)
    finally:
        over.set()
        watcher.join()
    told, paths = len(checked.promised), len(checked.watch.known)
    return (
        f"{rounds} rounds, {len(checked.entries)} entries, {told} acknowledged and there, {paths} paths never changed"
    )


def main() -> None:
    """Run, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300, help="how often the writers are killed: 300")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="for the same rounds again")
    parser.add_argument("--folder", type=Path, help="where the log is written; the system's folder for such things")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as work:
        print(run_rounds(Path(work), options.rounds, options.seed))


if __name__ == "__main__":
    main()
