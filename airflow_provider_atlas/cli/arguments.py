"""What several commands take from their arguments: a run, a file, a moment, a folder to write to."""

import os
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path

from airflow_provider_atlas.artifacts.archive import run_path
from airflow_provider_atlas.errors import ConfigError, MissingError

MAX_FILE_SIZE = 64 << 20
"""The largest file that a command reads whole, in bytes: that of the largest bundle."""


def add_json(parser: ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")


def add_run(parser: ArgumentParser) -> None:
    """Add the run that a command is about: its folder, or its names and an archive."""
    parser.add_argument(
        "run_name", nargs="+", metavar="RUN", help="the run's folder in an archive; with --archive: DAG_ID RUN_ID"
    )
    parser.add_argument("--archive", metavar="DIR", help="the archive that DAG_ID RUN_ID is in")


def run_folder(options: Namespace) -> Path:
    """Return the run's folder. Raises ConfigError for arguments that name none, MissingError when it is not there."""
    names: list[str] = options.run_name
    if options.archive is None and len(names) == 1:
        folder = Path(names[0])
    elif options.archive is not None and len(names) == 2:
        folder = Path(options.archive, *run_path(*names))
    else:
        raise ConfigError("expected RUN, the folder of a run, or DAG_ID RUN_ID and --archive DIR")
    if not folder.is_dir():
        raise MissingError(f"there is no run at {folder}: expected its folder in an archive, ARCHIVE/DAG_ID/RUN_ID")
    return folder.absolute()


def read_file(path: str, what: str) -> bytes:
    """Return the content of the file ``path``. Raises ConfigError, which says ``what`` it should have been."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {what} {path}: {error.strerror}") from error
    if len(content) > MAX_FILE_SIZE:
        raise ConfigError(f"expected {what} {path} to have at most {MAX_FILE_SIZE} bytes")
    return content


def write_file(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write ``content`` to a new file. Raises ConfigError when ``path`` is there already or cannot be written."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    except FileExistsError as error:
        raise ConfigError(f"{path} is there already; it was left as it is") from error
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


def empty_folder(path: str) -> Path:
    """Return the folder ``path``, made when it was not there. Raises ConfigError when it is not empty."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = next(folder.iterdir(), None)
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}: {error.strerror}") from error
    if occupied is not None:
        raise ConfigError(f"{folder} is not empty: name a folder that is, or that is not there yet")
    return folder


def moment(text: str | None) -> datetime:
    """Return the moment ``text`` names in RFC 3339, or now. Raises ConfigError when it has no offset, or is none."""
    if text is None:
        return datetime.now(UTC)
    try:
        named = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"expected a time such as 2026-01-31T12:00:00Z, not {text!r}") from error
    if named.tzinfo is None:
        raise ConfigError(f"expected a time with its offset from UTC, such as {text}Z")
    return named
