"""Which code a task is about to run: the files that its process really loaded from the DAG bundle, each by digest.

A commit alone would not do: a working tree can be dirty, and Airflow's own record of a version can change afterwards.
What a task imports while it runs is not in the listing, which is made before.
"""

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping

from airflow_provider_atlas.artifacts.manifest import Manifest, ManifestEntry
from airflow_provider_atlas.errors import CaptureError


def loaded_files(dag_file: str, folder: str | None) -> Manifest:
    """Return the listing of ``dag_file`` and of every loaded module below ``folder``, by path relative to it.

    Without a folder, that of the DAG file counts. A module in a zip counts as the zip.
    Raises CaptureError when a file cannot be read.
    """
    root = os.path.abspath(folder or os.path.dirname(dag_file))
    roots = tuple(f"{path}{os.sep}" for path in dict.fromkeys((root, os.path.realpath(root))))
    files: dict[str, str] = {}
    for path in (os.path.abspath(dag_file), *_module_files(roots)):
        found = _on_disk(path)
        files[_relative(found, roots)] = found
    return Manifest.of(_entry(name, path) for name, path in _disjoint(files).items())


def _module_files(roots: tuple[str, ...]) -> Iterator[str]:
    # A copy, since another thread may import something while we look.
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and path.startswith(roots):
            yield path


def _on_disk(path: str) -> str:
    while not os.path.isfile(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def _relative(path: str, roots: tuple[str, ...]) -> str:
    for root in roots:
        if path.startswith(root):
            return path.removeprefix(root)
    return path.lstrip(os.sep)


def _disjoint(files: Mapping[str, str]) -> Mapping[str, str]:
    return {name: path for name, path in files.items() if name}


def _entry(name: str, path: str) -> ManifestEntry:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise CaptureError(f"expected to read {name}, which the task's process has loaded") from error
    return ManifestEntry(path=name, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
