"""What a report comes to, in the order in which people ask: the verdict, the counts, the same answers together.

Every form of a report that people read is made from this; none of them decides anything.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from airflow_provider_atlas.encoding import JsonObject, canonical_json
from airflow_provider_atlas.tee.assurance import LEVELS, Assurance
from airflow_provider_atlas.verify.questions import QUESTIONS, Question
from airflow_provider_atlas.verify.report import Check, RecordResult, Status, VerificationReport
from airflow_provider_atlas.verify.tee_result import TeeResult

DEVELOPMENT = "DEVELOPMENT: simulated TEE, proves nothing about hardware"
"""What every form of a report says aloud when any evidence in it came from a simulator."""

STATUSES: tuple[Status, ...] = ("failed", "not-reached", "passed", "not-required")
"""Every answer, the worst first."""

SYMBOLS: Mapping[Status | None, str] = {
    "passed": "✓",
    "failed": "✗",
    "not-reached": "?",
    "not-required": "–",
    None: "·",
}
"""The sign of each answer, so that none is told by colour alone; None is a question that nobody asked."""

_INSTANCE = re.compile(r"(.*)\[(0|[1-9][0-9]{0,8})\]( try [0-9]+)?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer to one question, and every subject it was given about, in the report's order."""

    question: Question
    status: Status
    detail: str
    subjects: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """All that was answered to one question, the worst first; nothing when it was not asked."""

    question: Question
    findings: Sequence[Finding]

    def count(self, status: Status) -> int:
        """Return about how many subjects the answer is ``status``."""
        return sum(len(finding.subjects) for finding in self.findings if finding.status == status)

    @property
    def status(self) -> Status | None:
        """The worst answer, or None when nobody asked."""
        return self.findings[0].status if self.findings else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One reason why a verdict is not good, and all the questions that it leaves without a good answer."""

    questions: Sequence[Question]
    status: Status
    detail: str
    subjects: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A kind of worker as its evidence showed it, and the records that were made on one of that kind."""

    tee: TeeResult
    subjects: Sequence[str]


def answers(report: VerificationReport) -> Sequence[Answers]:
    """Return the answers to every question, by number: to those of this version, and to others that were asked."""
    by_number: dict[int, list[Check]] = {number: [] for number in QUESTIONS}
    for check in report.checks:
        by_number.setdefault(check.number, []).append(check)
    return [_answers(number, checks) for number, checks in sorted(by_number.items())]


def problems(report: VerificationReport) -> Sequence[Problem]:
    """Return what stands between this run and a good verdict: the failed answers first, then those not reached.

    A record whose signature does not hold leaves five questions open for one reason, which is told once.
    """
    found = [finding for answered in answers(report) for finding in answered.findings]
    return [
        problem
        for status in ("failed", "not-reached")
        for problem in _problems([finding for finding in found if finding.status == status])
    ]


def headline(report: VerificationReport) -> tuple[str, str]:
    """Return the verdict in a word or two, and in a sentence."""
    count = Counter(check.status for check in report.checks)
    match report.verdict:
        case "passed" if report.development:
            return "Passed in development", "Every answer is good, and nothing follows about any hardware."
        case "passed":
            return "Passed", "Every question that the policy asks has a good answer."
        case "failed":
            return "Failed", f"{_counted(count['failed'], 'answer')} of {len(report.checks)} are wrong."
        case "undecided" if not count["not-reached"]:
            return "Undecided", "Nothing was asked that could be answered. This is not a pass."
        case "undecided":
            open_ones = _counted(count["not-reached"], "answer")
            return "Undecided", f"Nothing was found wrong, but {open_ones} could not be reached. This is not a pass."


def machines(report: VerificationReport) -> Sequence[Machine]:
    """Return the distinct results of TEE evidence, in the order in which the records show them."""
    found: dict[bytes, tuple[TeeResult, list[str]]] = {}
    for record in report.records:
        if record.tee is not None:
            _, subjects = found.setdefault(canonical_json(record.tee.kind), (record.tee, []))
            subjects.append(record.subject)
    return [Machine(tee=tee, subjects=subjects) for tee, subjects in found.values()]


def levels(report: VerificationReport) -> Mapping[Assurance, int]:
    """Return how many records' evidence reaches each level of assurance that any reaches, the lowest first."""
    count = Counter(record.tee.assurance for record in report.records if record.tee)
    return {level: count[level] for level in LEVELS if count[level]}


def worst_by_subject(checks: Iterable[Check]) -> Mapping[str, Status]:
    """Return the worst answer about each subject."""
    worst: dict[str, Status] = {}
    for check in checks:
        known = worst.get(check.subject, check.status)
        worst[check.subject] = min(known, check.status, key=STATUSES.index)
    return worst


def artifact_counts(report: VerificationReport) -> Mapping[str, int]:
    """Return how many artifacts are in each state they can be in, the worst first."""
    count = Counter(artifact.state for artifact in report.artifacts)
    return {state: count[state] for state in ("different", "absent", "not-read", "same")}


def metrics(records: Sequence[RecordResult]) -> Sequence[tuple[str, JsonObject]]:
    """Return the metrics of every record that has some, by its name."""
    return [(record.subject, record.metrics) for record in records if record.metrics]


def in_ranges(subjects: Sequence[str]) -> Sequence[str]:
    """Return ``subjects``, each once, with neighbouring instances of one mapped task told as one.

    >>> in_ranges(["score[0] try 1", "score[10] try 1", "score[1] try 1", "score[2] try 1", "train try 2"])
    ['score[0…2] try 1', 'score[10] try 1', 'train try 2']
    """
    tasks: dict[tuple[str, str | None], list[int]] = {}
    for subject in subjects:
        instance = _INSTANCE.fullmatch(subject)
        task = (instance[1], instance[3] or "") if instance else (subject, None)
        tasks.setdefault(task, []).append(int(instance[2]) if instance else 0)
    return [text for (name, rest), indices in tasks.items() for text in _ranges(name, rest, indices)]


def _ranges(name: str, rest: str | None, indices: Iterable[int]) -> Iterable[str]:
    if rest is None:
        return [name]
    numbered = enumerate(sorted(set(indices)))
    runs = [[index for _, index in run] for _, run in groupby(numbered, lambda item: item[1] - item[0])]
    return [f"{name}[{_span(run[0], run[-1])}]{rest}" for run in runs]


def _span(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first}…{last}"


def _problems(findings: Iterable[Finding]) -> Iterable[Problem]:
    together: dict[tuple[str, tuple[str, ...]], list[Finding]] = {}
    for finding in findings:
        together.setdefault((finding.detail, tuple(finding.subjects)), []).append(finding)
    return [
        Problem(
            questions=[finding.question for finding in same],
            status=same[0].status,
            detail=detail,
            subjects=subjects,
        )
        for (detail, subjects), same in together.items()
    ]


def _answers(number: int, checks: Sequence[Check]) -> Answers:
    question = QUESTIONS.get(number) or Question(
        number=number, name=checks[0].name, question="A question of another version.", failure=""
    )
    grouped: dict[tuple[Status, str], list[str]] = {}
    for check in checks:
        grouped.setdefault((check.status, check.detail), []).append(check.subject)
    findings = [
        Finding(question=question, status=status, detail=detail, subjects=subjects)
        for (status, detail), subjects in grouped.items()
    ]
    return Answers(question=question, findings=sorted(findings, key=lambda finding: STATUSES.index(finding.status)))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
