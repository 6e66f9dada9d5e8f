"""The start record (``enforce``): logged and archived before the task's own code runs.

A deferred task that comes back in another process takes up the one that it began with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from airflow_provider_atlas.artifacts.archive import record_path
from airflow_provider_atlas.attest.execution import NONCE_SIZE, Started, with_start
from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.encoding import Fields, parse_hex
from airflow_provider_atlas.errors import ArchiveError, CaptureError
from airflow_provider_atlas.intoto.beacon import Beacon
from airflow_provider_atlas.intoto.environment import CodeIdentity
from airflow_provider_atlas.intoto.statement import Statement
from airflow_provider_atlas.intoto.task_run import TaskRun
from airflow_provider_atlas.wiring.workers import Worker


def repeated(run: TaskRun) -> str:
    """Return what to say when the archive has another execution's record in the place of ``run``'s."""
    return (
        f"the archive has a record of {run.step} try {run.try_number} in this run, of another execution: the run was "
        "deleted and repeated under its id, and an archive never replaces a record; use another run id"
    )


def logged_start(started: Started, worker: Worker, names: Sequence[str]) -> tuple[Started, AttestationBundle]:
    """Return ``started`` with its logged start record, and that record.

    ``names`` is what the archive holds of this step. Raises AttestingError when the record cannot be made, and
    CaptureError when the try began with other inputs or other code than are there now.
    """
    run = started.surroundings.run
    path = record_path(run.dag_id, run.run_id, run.step, name := f"{run.try_number}.start.json")
    kept = AttestationBundle.parse(worker.archive.get(path)) if name in names else None
    if kept is not None:
        started = _taken_up(started, kept)
    if kept is None or kept.public_key != worker.sealer.signer.public_key:
        # A record has one signer. A worker with another key says again what it takes up from the first one.
        bundle = worker.sealer.enter(worker.sealer.declare("start", started.statement()))
    else:
        bundle = kept
    if kept is None:
        worker.archive.put(path, bundle.to_bytes())
    return with_start(started, bundle.envelopes["start"].sha256, bundle.receipts["start"].index), bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """What a start record says."""

    run: TaskRun
    nonce: bytes
    code: CodeIdentity
    materials: Mapping[str, str]
    started: datetime
    beacon: Beacon | None

    @classmethod
    def parse(cls, statement: Statement) -> "_Begun":
        fields = Fields(statement.predicate, "the start record")
        materials = fields.object("materials")
        digests = Fields(materials, "the materials")
        begun = cls(
            run=TaskRun.parse(fields.object("run")),
            nonce=parse_hex(fields.text("nonce"), NONCE_SIZE),
            code=CodeIdentity.parse(fields.object("code")),
            materials={uri: digests.sha256(uri) for uri in materials},
            started=fields.time("started"),
            beacon=fields.optional("beacon", lambda name: Beacon.parse(fields.object(name))),
        )
        fields.end()
        return begun


def _taken_up(started: Started, kept: AttestationBundle) -> Started:
    begun = _Begun.parse(Statement.parse(kept.envelopes["start"].payload))
    around = started.surroundings
    if begun.run != around.run:
        raise ArchiveError(repeated(around.run))
    if begun.code != around.code:
        raise CaptureError("expected the code that the task began with; it was changed while the task was away")
    for uri, digest in begun.materials.items():
        if started.materials.get(uri) != digest:
            raise CaptureError(f"expected {uri} to be as it was when the task began; it was changed since")
    surroundings = replace(around, nonce=begun.nonce, beacon=begun.beacon)
    return replace(started, surroundings=surroundings, started=begun.started)
