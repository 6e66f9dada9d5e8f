"""Questions 8 to 13, asked of a run as a whole. Each function answers one: it returns, or raises why not."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from airflow_provider_atlas.artifacts.archive import path_segment
from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.errors import MismatchError, MissingError
from airflow_provider_atlas.intoto.pipeline import Pipeline, PipelineTask
from airflow_provider_atlas.intoto.run_manifest import RunManifest
from airflow_provider_atlas.intoto.statement import Statement
from airflow_provider_atlas.intoto.task_run import UNMAPPED, step_name
from airflow_provider_atlas.verify.record_checks import Judge, check_inclusion, check_signature
from airflow_provider_atlas.verify.records import Record, RunRecords

ENDED_WELL = frozenset({"success", "skipped"})
"""The states in which a task does not stand in the way of a good run."""

_WORKERLESS = frozenset({"skipped", "upstream_failed", "removed", "none"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A task instance that a run was to have: its state, and the envelopes (SHA-256, hex) that must be there."""

    task_id: str
    step: str
    state: str
    set_by_hand: bool = False
    envelopes: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Believed:
    """The records of a run whose own questions were answered well, and the subjects of those that were not."""

    records: Sequence[Record]
    doubted: Sequence[str]

    @cached_property
    def last(self) -> Mapping[str, Record]:
        """The record of each step's last try: what its downstreams built on."""
        ordered = sorted(self.records, key=lambda record: record.link.environment.run.try_number)
        return {record.link.name: record for record in ordered}

    @cached_property
    def last_of_task(self) -> Mapping[str, Sequence[Record]]:
        """The last records of every instance of a task, by the task's id."""
        by_task: dict[str, list[Record]] = defaultdict(list)
        for record in self.last.values():
            by_task[record.link.environment.run.task_id].append(record)
        return by_task

    @cached_property
    def makers(self) -> Mapping[str, Sequence[Record]]:
        """The last records that have an artifact among their products, by its URI."""
        by_uri: dict[str, list[Record]] = defaultdict(list)
        for record in self.last.values():
            for uri in record.link.products:
                by_uri[uri].append(record)
        return by_uri

    @cached_property
    def named(self) -> frozenset[tuple[str, str]]:
        """The step and the envelope (SHA-256, hex) of every record: what a reference may name."""
        return frozenset((record.link.name, record.sha256) for record in self.records)


def check_manifest(records: RunRecords, judge: Judge) -> RunManifest:
    """8: the run manifest is signed by a signer of the policy and logged. Returns it."""
    bundle = records.manifest
    if bundle is None:
        raise MissingError("no run manifest: the run has not ended, or its manifest is gone")
    return _believed_manifest(bundle, judge)


def _believed_manifest(bundle: AttestationBundle, judge: Judge) -> RunManifest:
    check_signature(bundle, judge)
    check_inclusion(bundle, judge)
    return RunManifest.from_statement(Statement.parse(bundle.envelopes["manifest"].payload))


def check_identity(records: Sequence[Record], identity: tuple[str, str, str], wanted: tuple[str, str] | None) -> None:
    """9: every record is of the run ``identity`` (deployment, dag, run), lies where it belongs, and is told once.

    ``wanted`` is the run (dag, run) that was asked for, where somebody asked by name.
    """
    if wanted is not None and identity[1:] != wanted:
        raise MismatchError(f"expected the run {wanted[0]} {wanted[1]}; this is {identity[1]} {identity[2]}")
    for record in records:
        run = record.link.environment.run
        if (run.deployment, run.dag_id, run.run_id) != identity:
            raise MismatchError(f"{record.subject} is a record of another run: {run.dag_id} {run.run_id}")
        if (path_segment(run.step), run.try_number) != (record.segment, record.try_number):
            raise MismatchError(f"{record.subject} lies in the place of {record.segment} try {record.try_number}")
    _check_once("nonce", (record.link.environment.nonce.hex() for record in records))
    _check_once("log index", (str(receipt.index) for record in records for receipt in record.bundle.receipts.values()))


def _check_once(what: str, values: Iterable[str]) -> None:
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise MismatchError(f"expected each {what} once in a run; {repeated[0]} is there again")


def check_pipeline(pipeline: Pipeline | None, records: Sequence[Record], manifest: RunManifest | None) -> Pipeline:
    """10: all records, and the manifest, commit to the pipeline that lies in the run's folder. Returns it."""
    if pipeline is None:
        raise MissingError("no pipeline.json in the run's folder")
    committed = {record.subject: record.link.environment.code.pipeline_sha256 for record in records}
    if manifest is not None:
        committed["the manifest"] = manifest.pipeline_sha256
    for subject, digest in committed.items():
        if digest != pipeline.sha256:
            raise MismatchError(f"{subject} commits to another pipeline than the one in the run's folder")
    if not committed:
        raise MissingError("no record that commits to the pipeline")
    return pipeline


def expectations(manifest: RunManifest) -> Sequence[Expected]:
    """Return what ``manifest`` says the run was to have."""
    return [
        Expected(
            task_id=instance.task_id,
            step=instance.step,
            state=instance.state,
            set_by_hand=instance.set_by_hand,
            envelopes=frozenset(reference.envelope_sha256 for reference in instance.records),
        )
        for instance in manifest.instances
    ]


def expectations_without_manifest(
    task_ids: Collection[str], states: Mapping[str, str], steps: Collection[str]
) -> Sequence[Expected]:
    """Return what must be there of the tasks ``task_ids``, when no manifest says so: the run may still be running.

    ``states`` maps steps to Airflow's states where they are known; any other task is expected to have succeeded.
    ``steps`` are the steps that there are records of: the instances of a mapped task are known from nowhere else.
    """
    expected: list[Expected] = []
    for task_id in sorted(task_ids):
        instances = [step for step in {*steps, *states} if step == task_id or step.startswith(f"{task_id}[")]
        expected += [
            Expected(task_id=task_id, step=step, state=states.get(step, "success"))
            for step in sorted(instances) or [step_name(task_id, UNMAPPED)]
        ]
    return expected


def check_completeness(
    pipeline: Pipeline,
    expected: Sequence[Expected],
    believed: Believed,
    open_starts: Sequence[tuple[str, int]],
    *,
    declared: bool,
) -> None:
    """11: there is a record for everything that ran; where a manifest ``declared`` all of it, for nothing else."""
    by_step: dict[str, set[str]] = defaultdict(set)
    for record in believed.records:
        by_step[record.link.name].add(record.sha256)
    missing = [item.step for item in expected if _lacks_record(item, pipeline, by_step[item.step])]
    if believed.doubted and missing:
        raise MissingError(f"not decided while records are in doubt: {_some(believed.doubted)}")
    if missing:
        raise MismatchError(f"no record of {_some(missing)}")
    if open_starts:
        raise MismatchError(f"began and never ended: {_some([f'{step} try {n}' for step, n in open_starts])}")
    if declared:
        _check_declared(pipeline, expected, by_step)


def _check_declared(pipeline: Pipeline, expected: Sequence[Expected], by_step: Mapping[str, set[str]]) -> None:
    named = {item.step: item.envelopes for item in expected}
    strangers = sorted(step for step, envelopes in by_step.items() if envelopes - named.get(step, frozenset()))
    if strangers:
        raise MismatchError(f"records that the manifest does not name: {_some(strangers)}")
    forgotten = sorted(pipeline.tasks.keys() - {item.task_id for item in expected})
    if forgotten:
        raise MismatchError(f"tasks of the pipeline that the manifest does not name: {_some(forgotten)}")


def _lacks_record(item: Expected, pipeline: Pipeline, there: set[str]) -> bool:
    task = pipeline.tasks.get(item.task_id)
    if item.envelopes - there:
        return True
    excused = item.state in _WORKERLESS or (task is not None and task.empty)
    return not there and not excused


def check_lineage(pipeline: Pipeline, believed: Believed) -> None:
    """12: each record names its upstreams' last records by digest, and its inputs are what these produced."""
    if believed.doubted:
        raise MissingError(f"not decided while records are in doubt: {_some(believed.doubted)}")
    ancestors = {task_id: pipeline.ancestors(task_id) for task_id in pipeline.tasks}
    for record in believed.last.values():
        _check_references(record, pipeline, believed)
        _check_inputs(record, ancestors, believed)
        _check_xcoms(record, believed.last)


def _check_references(record: Record, pipeline: Pipeline, believed: Believed) -> None:
    named = {(reference.step, reference.envelope_sha256) for reference in record.link.environment.upstream}
    absent = sorted(step for step, _ in named - believed.named)
    if absent:
        raise MismatchError(f"{record.subject} names a record of {_some(absent)} that is not there")
    required = {(other.link.name, other.sha256) for other in _required_upstream(record, pipeline, believed)}
    unnamed = sorted(step for step, _ in required - named)
    if unnamed:
        raise MismatchError(f"{record.subject} does not name the record of {_some(unnamed)}")


def _required_upstream(record: Record, pipeline: Pipeline, believed: Believed) -> Iterable[Record]:
    run = record.link.environment.run
    task = pipeline.tasks.get(run.task_id)
    for task_id in _recorded_upstream(task, pipeline) if task is not None and task.waits else ():
        # Inside a mapped task group an instance waits for the upstream of its own index alone.
        own = believed.last.get(step_name(task_id, run.map_index))
        if run.map_index != UNMAPPED and own is not None:
            yield own
        else:
            yield from believed.last_of_task.get(task_id, ())


def _recorded_upstream(task: PipelineTask, pipeline: Pipeline) -> frozenset[str]:
    """The nearest tasks before ``task`` that have records: an empty task has none, and stands for those before it."""
    found: set[str] = set()
    pending = list(task.upstream)
    seen: set[str] = set()
    while pending:
        task_id = pending.pop()
        if task_id not in seen:
            seen.add(task_id)
            before = pipeline.tasks[task_id]
            if before.empty:
                pending += before.upstream
            else:
                found.add(task_id)
    return frozenset(found)


def _check_inputs(record: Record, ancestors: Mapping[str, frozenset[str]], believed: Believed) -> None:
    before = ancestors.get(record.link.environment.run.task_id, frozenset())
    for uri, digest in record.link.inputs.items():
        makers = [other for other in believed.makers.get(uri, ()) if other.link.environment.run.task_id in before]
        # What a later maker wrote over is no longer offered.
        overwritten = {task for other in makers for task in ancestors[other.link.environment.run.task_id]}
        offered = {
            other.link.products[uri] for other in makers if other.link.environment.run.task_id not in overwritten
        }
        if offered and digest not in offered:
            raise MismatchError(f"{record.subject} read {uri}, which is not what the task before it produced")


def _check_xcoms(record: Record, last: Mapping[str, Record]) -> None:
    for name, digest in record.link.outcome.pulled.items():
        step, _, key = name.rpartition("/")
        source = last.get(step)
        if source is not None and source.link.outcome.pushed.get(key, digest) != digest:
            raise MismatchError(f"{record.subject} pulled the XCom {name}, which is not what {step} pushed")


def check_outcome(expected: Sequence[Expected], believed: Believed, manifest: RunManifest | None) -> None:
    """13: every task that was expected ended well, and no state was set by hand."""
    by_hand = [item.step for item in expected if item.set_by_hand]
    if by_hand:
        raise MismatchError(f"the state was set by hand of {_some(by_hand)}")
    states = {item.step: item.state for item in expected}
    states |= {step: record.link.outcome.state for step, record in believed.last.items() if step in states}
    bad = [f"{step} ({state})" for step, state in sorted(states.items()) if state not in ENDED_WELL]
    if bad:
        raise MismatchError(f"did not end well: {_some(bad)}")
    if manifest is not None and manifest.state != "success":
        raise MismatchError(f"the run ended as {manifest.state}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
