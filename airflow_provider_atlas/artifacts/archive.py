"""The seam to the archive: records by run, write-once, and blobs by digest.

::

    <dag_id>/<run_id>/pipeline.json                     the DAG's tasks and their order
    <dag_id>/<run_id>/tasks/<step>/<try>.start.json     logged before the task's own code ran (enforce)
    <dag_id>/<run_id>/tasks/<step>/<try>.bundle.json    the record: an AttestationBundle
    <dag_id>/<run_id>/tasks/<step>/<try>.sequenced.json it, before the log signed for it; later tasks refer to it
    <dag_id>/<run_id>/tasks/<step>/<try>.openings.json  what the link's commitments commit to; not for strangers
    <dag_id>/<run_id>/manifest.bundle.json              the run manifest, signed and logged
    blobs/sha256/<hex>                                  manifests of directories and of code, by digest

A path is a tuple of segments that ``path_segment`` gave (or that are plain already): the functions here make them,
``Archive.list`` returns them, and an archive refuses any other.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

PIPELINE = "pipeline.json"
"""The name of the pipeline in a run's folder."""

MANIFEST = "manifest.bundle.json"
"""The name of the run manifest in a run's folder."""

MAX_RECORD = 64 * 1024 * 1024
"""The largest record that is kept or read, in bytes."""

_SAFE = re.compile(rb"[A-Za-z0-9_\-\[\]+=,@]")
_SEGMENT = re.compile(r"[A-Za-z0-9_\-\[\]+=,@%~][A-Za-z0-9_\-\[\]+=,@%~.]{0,199}\Z")
_LONGEST = 160


class Archive(Protocol):
    """Keeps records. A path is a sequence of segments, as ``path_segment`` gives them.

    A path of anything else is refused, with ArchiveError: there nothing can be kept.
    """

    def put(self, path: Sequence[str], content: bytes, *, private: bool = False) -> None:
        """Keep ``content`` at ``path``, durably, for ever; ``private`` hides it from other users of the machine.

        Keeping the same bytes again does nothing. Raises ArchiveError when it cannot be kept, or when other bytes
        are there already: a record is never replaced. A record of more than 64 MiB is refused.
        """
        ...

    def get(self, path: Sequence[str]) -> bytes:
        """Return what is kept at ``path``.

        Raises MissingError when nothing is, MalformedError when it is no record (more than 64 MiB, or no file at
        all), and ArchiveError when it cannot be read.
        """
        ...

    def list(self, path: Sequence[str]) -> Sequence[str]:
        """Return the segments kept directly under ``path``, sorted; none when nothing is there.

        Raises ArchiveError when it cannot be read.
        """
        ...

    def put_blob(self, content: bytes) -> str:
        """Keep ``content`` by its digest; return the SHA-256 in lower-case hex. Raises ArchiveError."""
        ...


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder of ``archive``, as an ``Archive`` to read: its empty path is ``path`` of the other."""

    archive: Archive
    path: Sequence[str]

    def put(self, path: Sequence[str], content: bytes, *, private: bool = False) -> None:
        """Keep ``content`` below the run's folder: see ``Archive.put``."""
        self.archive.put((*self.path, *path), content, private=private)

    def get(self, path: Sequence[str]) -> bytes:
        """Return what is kept below the run's folder: see ``Archive.get``."""
        return self.archive.get((*self.path, *path))

    def list(self, path: Sequence[str]) -> Sequence[str]:
        """Return the segments below the run's folder: see ``Archive.list``."""
        return self.archive.list((*self.path, *path))

    def put_blob(self, content: bytes) -> str:
        """Keep ``content`` by its digest, in the whole archive: see ``Archive.put_blob``."""
        return self.archive.put_blob(content)


def run_path(dag_id: str, run_id: str) -> tuple[str, ...]:
    """Return the path of a run's folder."""
    return path_segment(dag_id), path_segment(run_id)


def record_path(dag_id: str, run_id: str, step: str, name: str) -> tuple[str, ...]:
    """Return the path of ``name``, such as ``1.bundle.json``, among the records of a step."""
    return *run_path(dag_id, run_id), "tasks", path_segment(step), name


def path_segment(name: str) -> str:
    """Return ``name`` as one path segment that every case-sensitive file system keeps: distinct names stay distinct.

    Bytes that are not plain are percent-encoded, a dot only where it leads; beyond 160 bytes the tail is replaced
    by ``~`` and 32 hex digits of the name's SHA-256: with fewer, whoever may name a run could find two that collide.
    The empty name is ``%``. ``[`` and ``]`` stay, since mapped tasks carry them.

    >>> path_segment("manual__2026-01-31T12:00:00+00:00")
    'manual__2026-01-31T12%3A00%3A00+00%3A00'
    >>> path_segment("..")
    '%2E.'
    """
    encoded = "".join(
        chr(byte) if _SAFE.match(bytes([byte])) or (byte == 0x2E and position) else f"%{byte:02X}"
        for position, byte in enumerate(name.encode("utf-8", "surrogatepass"))
    )
    if len(encoded) <= _LONGEST:
        return encoded or "%"
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{encoded[:_LONGEST]}~{digest[:32]}"


def is_segment(text: str) -> bool:
    """Return whether ``text`` may be a segment of a path: plain, not empty, not hidden, at most 200 characters."""
    return _SEGMENT.match(text) is not None
