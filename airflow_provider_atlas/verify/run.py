"""Verify a run: its records × a policy → a report. The thirteen questions, on one page.

Of each record: 1 signature, 2 statement, 3 evidence, 4 binding, 5 appraisal, 6 inclusion, 7 artifacts. Of the run:
8 manifest, 9 identity, 10 pipeline, 11 completeness, 12 lineage, 13 outcome. A question that rests on another's
answer is not reached when that one failed; the verdict is good only when none failed and none was left.
See: ``docs/format.md`` §8; ``verify.questions`` for the words.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from airflow_provider_atlas import __version__
from airflow_provider_atlas.artifacts.archive import path_segment
from airflow_provider_atlas.artifacts.store import ArtifactStore
from airflow_provider_atlas.errors import MalformedError, MissingError, VerificationError
from airflow_provider_atlas.intoto.pipeline import Pipeline
from airflow_provider_atlas.intoto.run_manifest import RunManifest
from airflow_provider_atlas.verify import record_checks, run_checks
from airflow_provider_atlas.verify.artifact_checks import any_there, artifacts_of, check_artifacts
from airflow_provider_atlas.verify.binding_checks import BOUND, check_binding
from airflow_provider_atlas.verify.limitations import limitations_of
from airflow_provider_atlas.verify.questions import NAMES
from airflow_provider_atlas.verify.quotes_seen import remembering
from airflow_provider_atlas.verify.record_checks import Judge
from airflow_provider_atlas.verify.records import Record, RunRecords
from airflow_provider_atlas.verify.report import ArtifactResult, Check, RecordResult, Status, VerificationReport
from airflow_provider_atlas.verify.results import record_result
from airflow_provider_atlas.verify.run_checks import Believed, Expected
from airflow_provider_atlas.verify.tee_result import TeeResult

T = TypeVar("T")

RUN = "run"
"""The subject of the questions about a run as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A task of a run that is still running: what was before it must be good already.

    ``states`` maps steps to Airflow's states, where they are known.
    """

    task_id: str
    states: Mapping[str, str] = field(default_factory=dict)


class Checklist:
    """Asks questions and keeps the answers. A primitive raises; here it becomes an answer."""

    def __init__(self) -> None:
        self.checks: list[Check] = []

    def ask(self, number: int, subject: str, check: Callable[[], T], good: str) -> T | None:
        """Ask question ``number`` of ``subject``; return what ``check`` returns, or None when it raised."""
        try:
            answer = check()
        except MissingError as error:
            self.note(number, subject, "not-reached", str(error))
        except (VerificationError, MalformedError) as error:
            self.note(number, subject, "failed", str(error))
        else:
            self.note(number, subject, "passed", good)
            return answer
        return None

    def note(self, number: int, subject: str, status: Status, detail: str) -> None:
        """Keep an answer that needed no asking."""
        self.checks.append(Check(number=number, name=NAMES[number], subject=subject, status=status, detail=detail))

    def passed(self, subject: str, numbers: Collection[int]) -> bool:
        """Whether every one of ``numbers`` that was asked of ``subject`` passed or was not required."""
        mine = [check for check in self.checks if check.subject == subject and check.number in numbers]
        return bool(mine) and all(check.status in ("passed", "not-required") for check in mine)


def verify_run(
    records: RunRecords, judge: Judge, *, store: ArtifactStore | None = None, gate: Gate | None = None
) -> VerificationReport:
    """Return the report on ``records`` by ``judge``: its policy, its verifiers, its moment.

    ``store`` reads artifacts that are still there; None reads none. ``gate`` judges a run that is still running, up
    to one of its tasks; without it, the run manifest says what the run was to have.
    """
    answers, judge = Checklist(), replace(judge, verifiers=remembering(judge.verifiers))
    for damaged in records.unreadable:
        answers.note(1, damaged.subject, "failed", damaged.reason)
    ordered = sorted(records.records, key=lambda record: (record.link.name, record.try_number))
    tees = {record.sha256: _ask_of_record(record, judge, answers) for record in ordered}
    believed = Believed(
        records=[record for record in ordered if answers.passed(record.subject, range(1, 7))],
        doubted=[item.subject for item in records.unreadable]
        + [record.subject for record in ordered if not answers.passed(record.subject, range(1, 7))],
    )
    pipeline = _parsed_pipeline(records)
    artifacts = _ask_of_artifacts(believed, pipeline, judge, answers, store)
    identity = _ask_of_run(records, believed, pipeline, judge, answers, gate)
    results = [record_result(record, tees[record.sha256]) for record in ordered]
    return _report(identity, judge, answers, results, artifacts, _in_sessions(believed))


def _ask_of_record(record: Record, judge: Judge, answers: Checklist) -> TeeResult | None:
    subject, bundle, link = record.subject, record.bundle, record.link
    answers.ask(1, subject, lambda: record_checks.check_signature(bundle, judge), "by a signer of the policy")
    if not answers.passed(subject, (1,)):
        # What is not signed is nobody's word: there is nothing further to ask of it.
        for number in range(2, 7):
            answers.note(number, subject, "not-reached", "the signature did not hold")
        return None
    answers.ask(2, subject, lambda: record_checks.check_statement(bundle, link, judge), "one story")
    tee = _ask_of_evidence(record, judge, answers)
    answers.ask(6, subject, lambda: record_checks.check_logged(bundle, link, judge), "logged, in order")
    return tee


def _ask_of_evidence(record: Record, judge: Judge, answers: Checklist) -> TeeResult | None:
    subject, bundle, link = record.subject, record.bundle, record.link
    if bundle.bound_evidence is None and not judge.policy.tee.required:
        for number in (3, 4, 5):
            answers.note(number, subject, "not-required", "the policy asks for no evidence, and there is none")
        return None
    claims = answers.ask(3, subject, lambda: record_checks.check_evidence(bundle, judge), "genuine")
    if claims is None:
        for number in (4, 5):
            answers.note(number, subject, "not-reached", "there is no genuine evidence")
        return None
    good = BOUND[bundle.bound_evidence.binding.purpose] if bundle.bound_evidence else ""
    answers.ask(4, subject, lambda: check_binding(bundle, link, claims, judge.policy), good)
    appraisal = record_checks.check_appraisal(bundle, claims, judge)
    answers.ask(5, subject, appraisal.check, "as the policy accepts")
    bound, salt = bundle.bound_evidence, judge.policy.tee.salt
    return TeeResult.of(claims, appraisal, bound.evidence, binding=bound.binding, salt=salt) if bound else None


def _ask_of_artifacts(
    believed: Believed, pipeline: Pipeline | None, judge: Judge, answers: Checklist, store: ArtifactStore | None
) -> Sequence[ArtifactResult]:
    demand = judge.policy.artifacts
    artifacts = artifacts_of(believed.last, pipeline, store if demand != "ignored" else None)
    for record in believed.last.values():
        if demand == "ignored" or (store is None and demand == "present"):
            answers.note(7, record.subject, "not-required", "nobody looked")
        elif demand == "present" and not any_there(record, artifacts):
            answers.note(7, record.subject, "not-required", "none of its artifacts is there, or it has none")
        elif store is None:
            answers.note(7, record.subject, "not-reached", "the policy requires artifacts, and nobody could look")
        else:
            answers.ask(7, record.subject, lambda record=record: check_artifacts(record, artifacts, demand), "the same")  # type: ignore[misc]  # mypy cannot type a default of a lambda
    return artifacts


def _ask_of_run(
    records: RunRecords,
    believed: Believed,
    pipeline: Pipeline | None,
    judge: Judge,
    answers: Checklist,
    gate: Gate | None,
) -> tuple[str, str, str]:
    manifest = _ask_of_manifest(records, judge, answers, gate)
    identity = _identity(manifest, records)
    answers.ask(9, RUN, lambda: run_checks.check_identity(records.records, identity, records.wanted), "of this run")
    known = answers.ask(10, RUN, lambda: run_checks.check_pipeline(pipeline, believed.records, manifest), "the same")
    if known is None or not answers.passed(RUN, (8,)):
        for number in (11, 12, 13):
            answers.note(number, RUN, "not-reached", "it is not known what the run was to have")
        return identity
    expected = _expected(known, believed, manifest, gate)
    starts = _overdue(records, known, gate) if gate else records.open_starts
    declared = manifest is not None
    answers.ask(
        11,
        RUN,
        lambda: run_checks.check_completeness(known, expected, believed, starts, declared=declared),
        "complete",
    )
    answers.ask(12, RUN, lambda: run_checks.check_lineage(known, believed), "linked")
    answers.ask(13, RUN, lambda: run_checks.check_outcome(expected, believed, manifest), "ended well")
    return identity


def _ask_of_manifest(records: RunRecords, judge: Judge, answers: Checklist, gate: Gate | None) -> RunManifest | None:
    if gate is not None or (records.manifest is None and not judge.policy.manifest_required):
        answers.note(8, RUN, "not-required", "the run is still running, or the policy asks for no manifest")
        return None
    return answers.ask(8, RUN, lambda: run_checks.check_manifest(records, judge), "signed and logged")


def _expected(
    pipeline: Pipeline, believed: Believed, manifest: RunManifest | None, gate: Gate | None
) -> Sequence[Expected]:
    if manifest is not None:
        return run_checks.expectations(manifest)
    task_ids = pipeline.ancestors(gate.task_id) if gate else pipeline.tasks.keys()
    states = gate.states if gate else {}
    return run_checks.expectations_without_manifest(task_ids, states, believed.last.keys())


def _overdue(records: RunRecords, pipeline: Pipeline, gate: Gate) -> Sequence[tuple[str, int]]:
    # The gate itself has begun and not ended, and so may tasks beside it. Everything else must have, also an instance
    # of a mapped task that left no record: nothing but its start tells of it.
    running = [path_segment(task_id) for task_id in pipeline.tasks.keys() - pipeline.ancestors(gate.task_id)]
    return [start for start in records.open_starts if not any(_is_of(start[0], task) for task in running)]


def _is_of(segment: str, task: str) -> bool:
    return segment == task or segment.startswith(f"{task}[")


def _identity(manifest: RunManifest | None, records: RunRecords) -> tuple[str, str, str]:
    if manifest is not None:
        return manifest.deployment, manifest.dag_id, manifest.run_id
    runs = [record.link.environment.run for record in records.records]
    return (runs[0].deployment, runs[0].dag_id, runs[0].run_id) if runs else ("", *(records.wanted or ("", "")))


def _in_sessions(believed: Believed) -> int:
    bound = [record.bundle.bound_evidence for record in believed.records]
    return sum(1 for each in bound if each is not None and each.binding.purpose == "session")


def _parsed_pipeline(records: RunRecords) -> Pipeline | None:
    # What is not a pipeline counts as none: question 10 then says that there is none to commit to.
    try:
        return Pipeline.parse(records.pipeline) if records.pipeline is not None else None
    except MalformedError:
        return None


def _report(
    identity: tuple[str, str, str],
    judge: Judge,
    answers: Checklist,
    results: Sequence[RecordResult],
    artifacts: Sequence[ArtifactResult],
    in_sessions: int,
) -> VerificationReport:
    return VerificationReport(
        deployment=identity[0],
        dag_id=identity[1],
        run_id=identity[2],
        policy_name=judge.policy.name,
        policy_sha256=judge.policy.sha256,
        evaluated_at=judge.at,
        verifier=f"airflow-provider-atlas {__version__}",
        checks=sorted(answers.checks, key=lambda check: check.subject == RUN),
        records=results,
        artifacts=artifacts,
        development=any(result.tee is not None and result.tee.development for result in results),
        limitations=limitations_of(
            results, artifacts, answers.checks, in_sessions=in_sessions, witnessed=judge.policy.is_witnessed
        ),
    )
