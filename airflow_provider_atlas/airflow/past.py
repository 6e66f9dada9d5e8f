"""The records that a run has so far, at a glance: what a task refers to, and what a run manifest names.

Nothing is believed or checked here, a verifier does that. To parse and re-spell hundreds of records in full would
hold a task up for a second.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from airflow_provider_atlas.airflow.trouble import tell
from airflow_provider_atlas.artifacts.archive import PIPELINE, Archive, path_segment, run_path
from airflow_provider_atlas.errors import ArchiveError, MalformedError, MissingError
from airflow_provider_atlas.intoto.environment import RecordReference
from airflow_provider_atlas.signing.dsse import Envelope
from airflow_provider_atlas.tlog.receipt import Receipt

_RECORD = re.compile(r"(0|[1-9][0-9]{0,8})\.(?:bundle|sequenced)\.json\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRecord:
    """A record as it describes itself; digests are SHA-256 in hex."""

    reference: RecordReference
    task_id: str
    map_index: int
    state: str
    products: Mapping[str, str]
    pushed: Mapping[str, str]


class PastRun:
    """The records of one run in an archive. The steps are listed once; what is added later is not seen.

    ``lenient`` (``observe``): what cannot be read is as if it were not there, and a line in the task's log says so.
    Otherwise every method raises ArchiveError for it.
    """

    def __init__(self, archive: Archive, dag_id: str, run_id: str, *, lenient: bool = False) -> None:
        self._archive = archive
        self._folder = run_path(dag_id, run_id)
        self._lenient = lenient

    def names(self) -> Sequence[str]:
        """Return what lies in the run's folder."""
        return self._list(())

    def names_of_step(self, step: str) -> Sequence[str]:
        """Return the names of what is kept of one step, such as ``1.bundle.json``."""
        return self._list(("tasks", path_segment(step)))

    def pipeline(self) -> bytes | None:
        """Return the pipeline that the run's folder holds, or None."""
        return self._get((PIPELINE,))

    def of_step(self, step: str) -> Sequence[PastRecord]:
        """Return the records of one step, oldest try first."""
        segment = path_segment(step)
        return [record for number in self._tries(segment) if (record := self._glance(segment, number))]

    def last_of_step(self, step: str) -> PastRecord | None:
        """Return the record of the last try of one step, or None."""
        return self._last(path_segment(step))

    def last_of_task(self, task_id: str) -> Sequence[PastRecord]:
        """Return the record of the last try of each instance of a task, by map index."""
        records = [record for segment in self._segments_of(task_id) if (record := self._last(segment))]
        return sorted((record for record in records if record.task_id == task_id), key=lambda record: record.map_index)

    @cached_property
    def _segments(self) -> Sequence[str]:
        return self._list(("tasks",))

    def _segments_of(self, task_id: str) -> Sequence[str]:
        # A long name is cut, and ends in its digest: then the beginning fits more than one, and the record decides.
        stem = path_segment(task_id).partition("~")[0]
        return [
            segment
            for segment in self._segments
            if segment.startswith(stem) and ("~" in segment or segment == stem or segment[len(stem)] == "[")
        ]

    def _last(self, segment: str) -> PastRecord | None:
        tries = self._tries(segment)
        return self._glance(segment, tries[-1]) if tries else None

    def _tries(self, segment: str) -> Sequence[int]:
        matches = map(_RECORD.match, self._list(("tasks", segment)))
        return sorted({int(match[1]) for match in matches if match})

    def _glance(self, segment: str, try_number: int) -> PastRecord | None:
        content = self._get(("tasks", segment, f"{try_number}.bundle.json"))
        # Or the log has taken the record, and has yet to sign for it (``log_integration = deferred``).
        taken = self._get(("tasks", segment, f"{try_number}.sequenced.json")) if content is None else None
        try:
            if taken is not None:
                return _sequenced(json.loads(taken))
            return _parsed(json.loads(content)) if content is not None else None
        except (MalformedError, ValueError, KeyError, TypeError, RecursionError) as error:
            self._forgive(ArchiveError(f"expected a record at {segment} try {try_number}"), error)
            return None

    def _list(self, path: Sequence[str]) -> Sequence[str]:
        try:
            return self._archive.list((*self._folder, *path))
        except (ArchiveError, MalformedError) as error:
            self._forgive(ArchiveError(str(error)), error)
            return ()

    def _get(self, path: Sequence[str]) -> bytes | None:
        try:
            return self._archive.get((*self._folder, *path))
        except MissingError:
            return None
        except (ArchiveError, MalformedError) as error:
            self._forgive(ArchiveError(str(error)), error)
            return None

    def _forgive(self, error: ArchiveError, cause: Exception) -> None:
        if not self._lenient:
            raise error from cause
        tell(error)


def _sequenced(document: Any) -> PastRecord:  # noqa: ANN401 - JSON, of which only a glance is taken
    record = _parsed(document["bundle"])
    index = int(document["indices"]["link"])
    return replace(record, reference=replace(record.reference, log_index=index))


def _parsed(bundle: Any) -> PastRecord:  # noqa: ANN401 - as above
    envelope = Envelope.parse(bundle["envelopes"]["link"])
    link = json.loads(envelope.payload)
    run, byproducts = link["environment"]["run"], link["byproducts"]
    receipt = bundle["receipts"].get("link")
    return PastRecord(
        reference=RecordReference(
            step=str(link["name"]),
            try_number=int(run["try_number"]),
            envelope_sha256=envelope.sha256,
            log_index=Receipt.parse(receipt.encode()).index if receipt else None,
        ),
        task_id=str(run["task_id"]),
        map_index=int(run["map_index"]),
        state=str(byproducts["state"]),
        products={uri: str(digests["sha256"]) for uri, digests in link["products"].items()},
        pushed={key: str(digests["sha256"]) for key, digests in byproducts["xcoms"]["pushed"].items()},
    )
