"""Airflow at work for ``atlas demo``: in processes of its own, watched by what it puts into the archive."""

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.cli.demo_folder import DAG_ID, DemoFolder
from airflow_provider_atlas.errors import AttestingError

_POLL = 0.2
_LIMIT = 900.0
_LAST_LINES = 15


class AirflowFailedError(AttestingError):
    """Airflow did not do its part; ``lines`` are the last of what it said."""

    def __init__(self, message: str, lines: Sequence[str]) -> None:
        super().__init__(message)
        self.lines = lines


def make_database(folder: DemoFolder) -> None:
    """Make Airflow's database. Raises AirflowFailedError."""
    _finish(folder, ["db", "migrate"], lambda: None)


def run_pipeline(folder: DemoFolder, tell: Callable[[AttestationBundle], None]) -> None:
    """Run the pipeline once; ``tell`` is told of each task as its record is archived. Raises AirflowFailedError."""
    told: set[Path] = set()

    def look() -> None:
        for bundle in _new_records(folder, told):
            tell(bundle)

    _finish(folder, ["dags", "test", DAG_ID, datetime.now(UTC).isoformat(timespec="seconds")], look)


def _new_records(folder: DemoFolder, told: set[Path]) -> Iterator[AttestationBundle]:
    found = {path for run in folder.runs() for path in run.glob("tasks/*/*.bundle.json")}
    for path in sorted(found - told, key=lambda path: path.stat().st_mtime_ns):
        told.add(path)
        yield AttestationBundle.parse(path.read_bytes())


def _finish(folder: DemoFolder, arguments: Sequence[str], look: Callable[[], None]) -> None:
    with folder.log_file.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, and arguments of our own
            [sys.executable, "-m", "airflow", *arguments],
            env=folder.environment(os.environ),
            cwd=folder.path / "airflow",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            code = _wait(process, look)
        finally:
            process.kill()
            process.wait()
    if code != 0:
        what = "did not end in time" if code is None else f"ended with {code}"
        message = f"airflow {' '.join(arguments[:2])} {what}: all that it said is in {folder.log_file}"
        raise AirflowFailedError(message, _last_lines(folder.log_file))


def _wait(process: "subprocess.Popen[bytes]", look: Callable[[], None]) -> int | None:
    end = time.monotonic() + _LIMIT
    code = None
    while code is None and time.monotonic() < end:
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(_POLL)
        look()
    return code


def _last_lines(path: Path) -> Sequence[str]:
    with path.open(encoding="utf-8", errors="replace") as log:
        return [line.rstrip("\n") for line in deque(log, _LAST_LINES)]
