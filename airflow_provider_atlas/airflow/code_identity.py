"""Which code a task is about to run: the files that its process really loaded from the DAG bundle, each by digest.

A commit alone would not do: a working tree can be dirty, and Airflow's own record of a version can change afterwards.
What a task imports while it runs is not in the listing, which is made before.
"""

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import takewhile
from types import ModuleType

from airflow_provider_atlas.artifacts.manifest import Manifest, ManifestEntry
from airflow_provider_atlas.errors import CaptureError


class _Before:
    """What was loaded before a task's process began to load its DAG.

    To look at every module in a forked process costs it 10 ms: each look writes a reference count, and so copies a
    page. So the parent notes where its modules lie, in one string, and the child the last name it was born with.
    """

    def __init__(self) -> None:
        self.parents = ""
        self.parent_pid = 0
        self.last: str | None = None


_BEFORE = _Before()


def note_parent() -> None:
    """Note what is loaded, in a process that is about to fork those of tasks."""
    _BEFORE.parents = "".join(f"\n{path}" for path in map(_file_of, list(sys.modules.values())) if path)
    _BEFORE.parent_pid = os.getpid()


def note_start() -> None:
    """Note which module was loaded last, in a task's process that has not looked at its DAG yet."""
    _BEFORE.last = next(reversed(sys.modules))


def loaded_files(dag_file: str, folder: str | None) -> Manifest:
    """Return the listing of ``dag_file`` and of every loaded module below ``folder``, by path relative to it.

    Without a folder, that of the DAG file counts. A module in a zip counts as the zip.
    Raises CaptureError when a file cannot be read.
    """
    root = os.path.abspath(folder or os.path.dirname(dag_file))
    roots = tuple(f"{path}{os.sep}" for path in dict.fromkeys((root, os.path.realpath(root))))
    # A module whose file has gone since cannot be listed: in a process that has run other DAGs before, it is theirs.
    found = [_on_disk(path) for path in _module_files(roots)]
    files = [_on_disk(os.path.abspath(dag_file)) or dag_file, *(path for path in found if path)]
    return Manifest.of(_entry(name, path) for name, path in {_relative(path, roots): path for path in files}.items())


def _module_files(roots: tuple[str, ...]) -> Iterator[str]:
    for path in map(_file_of, _modules_to_look_at(roots)):
        if path and path.startswith(roots):
            yield path


def _modules_to_look_at(roots: tuple[str, ...]) -> Iterable[ModuleType]:
    # Copies, since another thread may import something while we look.
    born_ready = _BEFORE.parent_pid not in (0, os.getpid()) and _BEFORE.last in sys.modules
    if not born_ready or any(f"\n{root}" in _BEFORE.parents for root in roots):
        return list(sys.modules.values())
    # The dictionary is in order of loading. Should the last name be taken out and loaded again, we look at fewer;
    # it is a module of Airflow's own.
    names = list(takewhile(lambda name: name != _BEFORE.last, reversed(sys.modules)))
    return [sys.modules[name] for name in names]


def _file_of(module: ModuleType) -> str | None:
    # No attribute access: a module that makes its attributes when they are asked for would.
    path = getattr(module, "__dict__", {}).get("__file__")
    return path if isinstance(path, str) else None


def _on_disk(path: str) -> str | None:
    while not os.path.isfile(path):
        parent = os.path.dirname(path)
        if os.path.isdir(parent):
            return None
        path = parent
    return path


def _relative(path: str, roots: tuple[str, ...]) -> str:
    for root in roots:
        if path.startswith(root):
            return path.removeprefix(root)
    return path.lstrip(os.sep)


def _entry(name: str, path: str) -> ManifestEntry:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise CaptureError(f"expected to read {name}, which the task's process has loaded") from error
    return ManifestEntry(path=name, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
