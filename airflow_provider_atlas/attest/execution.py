"""``begin`` before the task's own code, ``finish`` after it: from what is about to happen to the link that says it did.

Nothing here reads a clock, a file or randomness: they are arguments.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from airflow_provider_atlas.artifacts.store import Artifact, ArtifactStore
from airflow_provider_atlas.encoding import Json, canonical_json
from airflow_provider_atlas.errors import CaptureError
from airflow_provider_atlas.intoto.beacon import Beacon
from airflow_provider_atlas.intoto.environment import (
    CodeIdentity,
    Environment,
    Platform,
    RecordReference,
    Unmeasured,
)
from airflow_provider_atlas.intoto.link import Link, Outcome
from airflow_provider_atlas.intoto.start import start_statement
from airflow_provider_atlas.intoto.statement import Statement
from airflow_provider_atlas.intoto.task_run import TaskRun
from airflow_provider_atlas.tlog.checkpoint import Checkpoint

NONCE_SIZE = 16
"""The size of a link's nonce, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known of an execution before it begins, besides its inputs."""

    run: TaskRun
    operator: str
    code: CodeIdentity
    platform: Platform
    parameters: Mapping[str, str]
    beacon: Beacon | None
    nonce: bytes
    resumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The record of a task before this one: how to refer to it, and what it produced (URI → SHA-256 in hex)."""

    reference: RecordReference
    products: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """An execution that has begun: its inputs are hashed, its own code has not run. Plain data."""

    surroundings: Surroundings
    inputs: Mapping[str, Artifact]
    upstream: Sequence[RecordReference]
    started: datetime
    unmeasured: Sequence[Unmeasured] = ()
    start: RecordReference | None = None

    @property
    def materials(self) -> Mapping[str, str]:
        """The materials of the link: the inputs, and the one that stands for the run."""
        name, digest = self.surroundings.run.material
        return {name: digest, **{uri: artifact.sha256 for uri, artifact in self.inputs.items()}}

    def statement(self) -> Statement:
        """Return the start record, to be signed and logged before the task's own code runs (``enforce``)."""
        around = self.surroundings
        return start_statement(
            run=around.run,
            nonce=around.nonce,
            code=around.code,
            materials=self.materials,
            started=self.started,
            beacon=around.beacon,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the task's own code recorded while it ran, and what it left: see ``recording``.

    ``unmeasured`` are declared outputs of which no digest could be taken.
    """

    inputs: Mapping[str, Artifact]
    outputs: Mapping[str, Artifact]
    outcome: Outcome
    unmeasured: Sequence[Unmeasured] = ()


def begin(
    surroundings: Surroundings,
    *,
    inputs: Sequence[str],
    store: ArtifactStore,
    upstream: Sequence[Upstream],
    now: datetime,
) -> Started:
    """Hash ``inputs`` (URIs) and return the execution that begins ``now``.

    Raises MissingError for an input that is not there and CaptureError for one that cannot be read, changes while it
    is read, or is not what the task before this one produced: it was swapped on the way.
    """
    described = {uri: store.describe(uri) for uri in dict.fromkeys(inputs)}
    for task in upstream:
        _check_unswapped(described, task)
    return Started(
        surroundings=surroundings,
        inputs=described,
        upstream=tuple(task.reference for task in upstream),
        started=now,
    )


def finish(started: Started, recorded: Recorded, *, now: datetime) -> Link:
    """Return the link of an execution that ended ``now``."""
    around = started.surroundings
    environment = Environment(
        run=around.run,
        nonce=around.nonce,
        operator=around.operator,
        code=around.code,
        platform=around.platform,
        parameters=around.parameters,
        started=started.started,
        finished=max(now, started.started),
        upstream=tuple(started.upstream),
        start=started.start,
        beacon=around.beacon,
        resumed=around.resumed,
        unmeasured=(*started.unmeasured, *recorded.unmeasured),
    )
    # An input that was hashed before the task's own code ran stays as it was then, whatever that code says of it.
    late = {uri: artifact.sha256 for uri, artifact in recorded.inputs.items()}
    return Link(
        materials={**late, **started.materials},
        products={uri: artifact.sha256 for uri, artifact in recorded.outputs.items()},
        outcome=recorded.outcome,
        environment=environment,
    )


def with_start(started: Started, envelope_sha256: str, log_index: int) -> Started:
    """Return ``started`` with the logged start record that its link will commit to."""
    run = started.surroundings.run
    reference = RecordReference(
        step=run.step, try_number=run.try_number, envelope_sha256=envelope_sha256, log_index=log_index
    )
    return replace(started, start=reference)


def beacon_of(checkpoint: Checkpoint | None) -> Beacon | None:
    """Return the beacon that ``checkpoint`` is, seen before the work begins; None when the log has signed none."""
    if checkpoint is None:
        return None
    return Beacon(origin=checkpoint.origin, size=checkpoint.size, root=checkpoint.root)


def commitment(value: Json, salt: bytes) -> str:
    """Return the SHA-256 (hex) of ``salt ‖ JCS(value)``.

    The salt (16 random bytes) keeps a value that could be guessed from being confirmed; whoever is given the salt
    and the value can check both.
    """
    return hashlib.sha256(salt + canonical_json(value)).hexdigest()


def _check_unswapped(inputs: Mapping[str, Artifact], upstream: Upstream) -> None:
    for uri, digest in upstream.products.items():
        if uri in inputs and inputs[uri].sha256 != digest:
            raise CaptureError(f"expected {uri} to be what {upstream.reference.step} produced; it was changed since")
