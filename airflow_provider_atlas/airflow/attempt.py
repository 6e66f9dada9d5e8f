"""One execution of a task from ``begin`` to its link: everything read off Airflow on the way, in order."""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from airflow_provider_atlas.airflow.capture import (
    DeclarationError,
    Declared,
    Measured,
    inputs_of,
    measure,
    outputs_of,
    recorded_uris,
)
from airflow_provider_atlas.airflow.code_identity import loaded_files
from airflow_provider_atlas.airflow.parameters import parameters_of
from airflow_provider_atlas.airflow.past import PastRun
from airflow_provider_atlas.airflow.pipeline_of import pipeline_of
from airflow_provider_atlas.airflow.platform_of import platform_of
from airflow_provider_atlas.airflow.start_record import logged_start, repeated
from airflow_provider_atlas.airflow.task_run import (
    Context,
    Operator,
    TaskInstance,
    class_path,
    conf_of,
    dag_bundle_of,
    has_resumed,
    task_run_of,
)
from airflow_provider_atlas.airflow.trouble import tell
from airflow_provider_atlas.airflow.upstream import UpstreamRecords
from airflow_provider_atlas.airflow.xcoms import Traffic, XComs, traffic, xcoms_of
from airflow_provider_atlas.artifacts.store import Artifact
from airflow_provider_atlas.attest.execution import (
    NONCE_SIZE,
    Recorded,
    Started,
    Surroundings,
    Upstream,
    beacon_of,
    begin,
    finish,
)
from airflow_provider_atlas.attest.pending import Attachments, PendingRecord
from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import ArchiveError, CaptureError, LogError, MissingError
from airflow_provider_atlas.intoto.beacon import Beacon
from airflow_provider_atlas.intoto.environment import CodeIdentity, Unmeasured
from airflow_provider_atlas.intoto.link import Outcome
from airflow_provider_atlas.intoto.task_run import TaskRun
from airflow_provider_atlas.recording import Recording
from airflow_provider_atlas.wiring.workers import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How ``execute`` ended: the state that Airflow is about to give the try, and what it is about to push."""

    state: str
    error: str | None = None
    pushed: XComs | None = None

    @property
    def good(self) -> bool:
        """Whether the task did what it declares."""
        return self.state == "success"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An execution that has begun: its inputs are hashed and, in ``enforce``, its start is logged."""

    worker: Worker
    operator: Operator
    started: Started
    start: AttestationBundle | None
    attachments: Attachments
    before: UpstreamRecords
    seen: Traffic

    @property
    def strict(self) -> bool:
        """Whether what cannot be measured stops the task (``enforce``)."""
        return self.worker.settings.mode == "enforce"

    def record(self, ending: Ending, recording: Recording, context: Context) -> PendingRecord:
        """Return the record of this execution, which has just ended as ``ending``.

        Raises DeclarationError for a declared output that was not written, in every mode; and in ``enforce``
        CaptureError or MissingError for anything else that was to be measured and cannot be.
        """
        strict = self.strict and ending.good
        written, unwritten = self._outputs(ending, recording, context, strict=strict)
        read, unread = self._late_inputs(ending, recording, strict=strict)
        moved = xcoms_of(self.seen, self.started.surroundings.run, self.before.pushers)
        pushed = ending.pushed or XComs(pulled={}, pushed={}, unmeasured=())
        kinds = _canonical(recording.kinds)
        recorded = Recorded(
            inputs=read,
            outputs=written,
            outcome=Outcome(
                state=ending.state,
                error=ending.error,
                metrics=dict(recording.metrics),
                kinds={uri: kind for uri, kind in kinds.items() if uri in written},
                pulled=moved.pulled,
                pushed={**moved.pushed, **pushed.pushed},
            ),
            unmeasured=tuple(dict.fromkeys((*unread, *unwritten, *moved.unmeasured, *pushed.unmeasured))),
        )
        blobs = (*self.attachments.blobs, *_listings(read.values()), *_listings(written.values()))
        return PendingRecord(
            link=finish(self.started, recorded, now=datetime.now(UTC)),
            attachments=replace(self.attachments, blobs=blobs),
            start=self.start,
        )

    def _outputs(
        self, ending: Ending, recording: Recording, context: Context, *, strict: bool
    ) -> tuple[Mapping[str, Artifact], Sequence[Unmeasured]]:
        # A task that failed, or skipped itself, promised nothing: what lies where it was to write is another's.
        declared = outputs_of(self.operator, context) if ending.good else Declared()
        named, nameless = recorded_uris(recording.outputs)
        measured = measure([*declared.demanded, *declared.expected, *named], self.worker.store)
        missing = _settle(measured, declared.demanded, "output {} was not written", strict=strict)
        return measured.artifacts, (*declared.unmeasured, *nameless, *missing)

    def _late_inputs(
        self, ending: Ending, recording: Recording, *, strict: bool
    ) -> tuple[Mapping[str, Artifact], Sequence[Unmeasured]]:
        named, nameless = recorded_uris(recording.inputs)
        # An operator may add inlets while it runs.
        inlets = inputs_of(self.operator) if ending.good else Declared()
        known = {*self.started.materials, *(item.uri for item in self.started.unmeasured)}
        fresh = [uri for uri in dict.fromkeys((*inlets.expected, *named)) if uri not in known]
        measured = measure(fresh, self.worker.store)
        missing = _settle(measured, (), "", strict=strict)
        unmeasured = [item for item in (*inlets.unmeasured, *nameless, *missing) if item.uri not in known]
        return measured.artifacts, unmeasured


def begin_attempt(ti: TaskInstance, context: Context, worker: Worker) -> Attempt:
    """Return the execution that begins now. In ``enforce`` its start record is logged before this returns.

    Raises DeclarationError for a declared input that is not there, in every mode; in ``enforce`` AtlasError for
    everything else that stands in the way. In ``observe`` that is logged and left out, as far as a record can do
    without.
    """
    strict = worker.settings.mode == "enforce"
    run = task_run_of(ti, worker.settings.deployment)
    past = PastRun(worker.archive, run.dag_id, run.run_id, lenient=not strict)
    names = past.names_of_step(run.step)
    if {f"{run.try_number}.bundle.json", f"{run.try_number}.sequenced.json"} & set(names):
        raise ArchiveError(repeated(run))
    seen = traffic(pulls_expected=bool(ti.task.dag.task_dict[ti.task_id].upstream_task_ids))
    surroundings, attachments = _surroundings(ti, context, worker, run)
    before = UpstreamRecords(ti, past)
    if strict:
        before.check_complete()
    started = _begun(surroundings, ti.task, worker, before.upstream(), strict=strict)
    started, start = logged_start(started, worker, names) if strict else (started, None)
    return Attempt(
        worker=worker,
        operator=ti.task,
        started=started,
        start=start,
        attachments=_of_run(attachments, past.pipeline(), _listings(started.inputs.values())),
        before=before,
        seen=seen,
    )


def _surroundings(ti: TaskInstance, context: Context, worker: Worker, run: TaskRun) -> tuple[Surroundings, Attachments]:
    operator, settings = ti.task, worker.settings
    pipeline = pipeline_of(operator.dag).to_bytes()
    bundle = dag_bundle_of(ti)
    files = loaded_files(operator.dag.fileloc, bundle.folder)
    parameters = parameters_of(operator, context, conf_of(ti))
    surroundings = Surroundings(
        run=run,
        operator=class_path(operator),
        code=CodeIdentity(
            bundle_name=bundle.name,
            bundle_version=bundle.version,
            files_sha256=files.sha256,
            pipeline_sha256=sha256_hex(pipeline),
        ),
        platform=platform_of(settings.image),
        parameters=parameters.commitments,
        beacon=_beacon(worker),
        nonce=secrets.token_bytes(NONCE_SIZE),
        resumed=has_resumed(ti),
    )
    return surroundings, Attachments(pipeline=pipeline, openings=parameters.openings, blobs=(files.to_bytes(),))


def _of_run(own: Attachments, kept: bytes | None, listings: Sequence[bytes]) -> Attachments:
    # A DAG that is changed while it runs has several pipelines. The run's folder keeps the first: a record that
    # commits to another is kept all the same, with that other, and a verifier says what it is.
    if kept is None or kept == own.pipeline:
        return replace(own, blobs=(*own.blobs, *listings))
    return replace(own, pipeline=kept, blobs=(*own.blobs, own.pipeline, *listings))


def _begun(
    surroundings: Surroundings, operator: Operator, worker: Worker, upstream: Sequence[Upstream], *, strict: bool
) -> Started:
    declared = inputs_of(operator)
    now = datetime.now(UTC)
    measured = measure([*declared.demanded, *declared.expected], worker.store)
    missing = _settle(measured, declared.demanded, "input {} is not there", strict=strict)
    inputs = list(measured.artifacts)
    try:
        started = begin(surroundings, inputs=inputs, store=measured, upstream=upstream, now=now)
    except CaptureError as error:
        if strict:
            raise
        # The record says what was read, and whose work it was to be: a verifier sees that the two differ.
        tell(error)
        unchecked = [replace(task, products={}) for task in upstream]
        started = begin(surroundings, inputs=inputs, store=measured, upstream=unchecked, now=now)
    return replace(started, unmeasured=(*declared.unmeasured, *missing))


def _beacon(worker: Worker) -> Beacon | None:
    try:
        return beacon_of(worker.sealer.log.latest())
    except LogError as error:
        if worker.settings.mode == "enforce":
            raise
        tell(f"no beacon: {error}")
        return None


def _settle(measured: Measured, demanded: Collection[str], told: str, *, strict: bool) -> Sequence[Unmeasured]:
    for uri, problem in measured.problems.items():
        if uri in demanded and isinstance(problem, MissingError):
            raise DeclarationError(f"declared {told.format(uri)}") from problem
        if strict:
            raise problem
        tell(f"not measured: {problem}")
    return [Unmeasured(uri=uri, reason=str(problem)) for uri, problem in measured.problems.items()]


def _canonical(kinds: Mapping[str, str]) -> Mapping[str, str]:
    return {uri: kind for name, kind in kinds.items() for uri in recorded_uris([name])[0]}


def _listings(artifacts: Iterable[Artifact]) -> Sequence[bytes]:
    return [artifact.manifest.to_bytes() for artifact in artifacts if artifact.manifest is not None]
