"""The folder of a simulated platform: made once, whoever comes first, and complete or not there at all."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

_LIFETIME = timedelta(days=3652)
_SKEW = timedelta(days=1)  # so that a verifier whose clock is behind does not see a platform of tomorrow

Make = Callable[[datetime, datetime], Mapping[str, bytes]]
"""Returns the files of a new platform, by name, from when it is issued and when it expires."""


def platform_folder(folder: Path, name: str, make: Make) -> Path:
    """Return the folder of the platform ``name`` in ``folder``, which ``make`` fills on first use.

    Any number of processes may ask at once, and all get the same. Raises OSError when the folder cannot be used.
    """
    if not (folder / name).exists():
        _create(folder, name, make)
    return folder / name


def _create(folder: Path, name: str, make: Make) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder))
    issued = datetime.now(UTC).replace(microsecond=0) - _SKEW
    try:
        for file, content in make(issued, issued + _LIFETIME).items():
            _write(draft / file, content)
        _sync(draft)
        draft.rename(folder / name)
        _sync(folder)
    except OSError:
        # Renaming a folder onto another that is not empty fails: the other process's platform stays.
        if not (folder / name).exists():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Make the entries of ``folder`` durable: fsync of a file does not cover its name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
