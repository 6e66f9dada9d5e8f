"""What ``atlas demo`` does to a run so that its verification can refuse it: one byte of one digest."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_atlas.encoding import JsonObject, b64decode, b64encode, canonical_json
from airflow_provider_atlas.errors import MissingError
from airflow_provider_atlas.verify.records import Record, load_run
from airflow_provider_atlas.wiring import archives


@dataclass(frozen=True, slots=True, kw_only=True)
class Tampering:
    """What was changed: in the copy of the run at ``run``, in the record ``subject``, the digest of ``uri``."""

    run: Path
    subject: str
    uri: str
    before: str
    after: str


def tamper(run: Path, copy: Path) -> Tampering:
    """Copy the run at ``run`` to ``copy``, and change there one byte of the digest of a file that tasks handed on.

    Raises MissingError when no task handed a file on.
    """
    shutil.copytree(run, copy)
    records = load_run(archives.open_run(str(run))).records
    record, uri = _handed_on(list(records))
    before = record.link.products[uri]
    after = ("1" if before[0] != "1" else "2") + before[1:]
    path = copy / "tasks" / record.segment / f"{record.try_number}.bundle.json"
    path.chmod(0o644)
    path.write_bytes(_changed(path.read_bytes(), before, after))
    return Tampering(run=copy, subject=record.subject, uri=uri, before=before, after=after)


def _handed_on(records: list[Record]) -> tuple[Record, str]:
    used = {(uri, digest) for record in records for uri, digest in record.link.inputs.items()}
    for record in sorted(records, key=lambda record: record.link.environment.started):
        for uri, digest in sorted(record.link.products.items()):
            if (uri, digest) in used:
                return record, uri
    raise MissingError("expected a run whose tasks hand files on")


def _changed(bundle: bytes, before: str, after: str) -> bytes:
    # Whoever forges a record keeps it in the one spelling that is read at all.
    document = json.loads(bundle)
    envelope: dict[str, str] = document["envelopes"]["link"]
    payload = b64decode(envelope["payload"])
    envelope["payload"] = b64encode(payload.replace(before.encode(), after.encode()))
    changed: JsonObject = document
    return canonical_json(changed)
