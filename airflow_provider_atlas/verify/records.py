"""The records of a run, read from its archive folder and parsed. Nothing of it is believed yet.

What cannot be parsed is kept with the reason: a record that was damaged must not look like one that never was.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_atlas.artifacts.archive import PIPELINE, Archive
from airflow_provider_atlas.bundle import AttestationBundle, Role
from airflow_provider_atlas.errors import MalformedError, MissingError
from airflow_provider_atlas.intoto.link import Link

_RECORD = re.compile(r"(0|[1-9][0-9]{0,8})\.(bundle|start)\.json\Z")
_MANIFEST = re.compile(r"manifest(?:\.([1-9][0-9]{0,8}))?\.bundle\.json\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A bundle where it lay (the folder's segment and the file's try), and the link that its envelope holds.

    ``sha256`` is that of the link's envelope in hex: how other records refer to this one.
    """

    segment: str
    try_number: int
    bundle: AttestationBundle
    link: Link
    sha256: str

    @property
    def subject(self) -> str:
        """How a report names this record: by what it says it is."""
        return f"{self.link.name} try {self.link.environment.run.try_number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file among the records that is not one, and why."""

    subject: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecords:
    """All that a run's folder holds.

    ``open_starts`` are starts (segment, try) without a record of how they ended; ``wanted`` is the run (dag, run)
    that was asked for, where somebody asked by name.
    """

    pipeline: bytes | None
    manifest: AttestationBundle | None
    records: Sequence[Record]
    unreadable: Sequence[Unreadable]
    open_starts: Sequence[tuple[str, int]]
    wanted: tuple[str, str] | None = None


def load_run(run: Archive, wanted: tuple[str, str] | None = None) -> RunRecords:
    """Return what the archive ``run``, rooted at the folder of the run ``wanted`` (dag, run), holds.

    Raises MissingError when there is nothing of a run in it, ArchiveError when it cannot be read.
    """
    names = run.list(())
    if not {"tasks", PIPELINE} & set(names):
        raise MissingError("there is no run here: expected a folder with 'tasks' and 'pipeline.json' in it")
    records: list[Record] = []
    unreadable: list[Unreadable] = []
    starts: set[tuple[str, int]] = set()
    for segment in run.list(("tasks",)):
        for name in run.list(("tasks", segment)):
            match = _RECORD.match(name)
            if match and match[2] == "start":
                starts.add((segment, int(match[1])))
            elif match:
                _load_record(run, segment, int(match[1]), records, unreadable)
    ended = {(record.segment, record.try_number) for record in records}
    return RunRecords(
        pipeline=run.get((PIPELINE,)) if PIPELINE in names else None,
        manifest=_load_manifest(run, names, unreadable),
        records=records,
        unreadable=unreadable,
        open_starts=sorted(starts - ended),
        wanted=wanted,
    )


def _load_record(
    run: Archive, segment: str, try_number: int, records: list[Record], unreadable: list[Unreadable]
) -> None:
    try:
        bundle = _bundle(run.get(("tasks", segment, f"{try_number}.bundle.json")), "link")
        link = Link.parse(bundle.envelopes["link"].payload)
    except MalformedError as error:
        unreadable.append(Unreadable(subject=f"{segment} try {try_number}", reason=str(error)))
        return
    sha256 = bundle.envelopes["link"].sha256
    records.append(Record(segment=segment, try_number=try_number, bundle=bundle, link=link, sha256=sha256))


def _load_manifest(run: Archive, names: Sequence[str], unreadable: list[Unreadable]) -> AttestationBundle | None:
    # A run that was cleared and ended again has several; the last one tells how it ended.
    matches = [match for match in map(_MANIFEST.match, names) if match]
    if not matches:
        return None
    latest = max(matches, key=lambda match: int(match[1] or 1))
    try:
        return _bundle(run.get((latest[0],)), "manifest")
    except MalformedError as error:
        unreadable.append(Unreadable(subject=latest[0], reason=str(error)))
        return None


def _bundle(content: bytes, role: Role) -> AttestationBundle:
    bundle = AttestationBundle.parse(content)
    if role not in bundle.envelopes:
        raise MalformedError(f"expected a bundle with a {role} in it")
    return bundle
