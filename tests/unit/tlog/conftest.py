"""Logs are many small files, so these tests keep them in memory where the machine has room for that."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    """A folder for this session, in memory where there is some."""
    kept = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="atlas-logs-", dir=kept) as folder:
        yield Path(folder)


@pytest.fixture
def tmp_path(memory: Path) -> Path:
    """A folder for one test."""
    return Path(tempfile.mkdtemp(dir=memory))
