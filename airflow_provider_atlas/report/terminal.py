"""A report on a terminal: the verdict, what it rests on, and what stands in the way. A screenful for a good run."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from airflow_provider_atlas.report import summary
from airflow_provider_atlas.report.summary import STATUSES, SYMBOLS, Answers, Problem
from airflow_provider_atlas.report.visible import visible
from airflow_provider_atlas.verify.report import Status, Verdict, VerificationReport

_TONES: Mapping[Verdict, tuple[str, str]] = {
    "passed": ("✓", "bold green"),
    "failed": ("✗", "bold red"),
    "undecided": ("?", "bold yellow"),
}
_STYLES: Mapping[Status | None, str] = {
    "passed": "green",
    "failed": "bold red",
    "not-reached": "yellow",
    "not-required": "dim",
    None: "dim",
}
_MOST_PROBLEMS = 12
_MOST_SUBJECTS = 4


def print_report(report: VerificationReport, console: Console) -> None:
    """Print ``report`` on ``console``: some twenty lines, and two more for each thing that stands in the way."""
    for line in _lines(report):
        console.print(line, soft_wrap=True)


def _lines(report: VerificationReport) -> Iterator[Text]:
    yield from _verdict(report)
    yield Text(f"  {visible(report.dag_id)}  {visible(report.run_id)}  in {visible(report.deployment)}")
    yield Text(f"  policy {visible(report.policy_name)}  sha256 {report.policy_sha256}", style="dim")
    yield from _counts(report)
    yield from map(_answer, summary.answers(report))
    problems = summary.problems(report)
    for problem in problems[:_MOST_PROBLEMS]:
        yield from _problem(problem)
    if len(problems) > _MOST_PROBLEMS:
        yield Text(f"  and {len(problems) - _MOST_PROBLEMS} more, in the JSON or HTML report")


def _verdict(report: VerificationReport) -> Iterator[Text]:
    title, sentence = summary.headline(report)
    symbol, style = _TONES[report.verdict]
    if report.development:
        yield Text.assemble((f" ⚠ {summary.DEVELOPMENT} ", "bold black on yellow"))
        style = "bold yellow" if report.verdict == "passed" else style
    yield Text.assemble((f"{symbol} {title.upper()}", style), f"  {sentence}")


def _counts(report: VerificationReport) -> Iterator[Text]:
    states = [f"{count} {state}" for state, count in summary.artifact_counts(report).items() if count]
    artifacts = f"{len(report.artifacts)} artifacts" + (f" ({', '.join(states)})" if states else "")
    yield Text(
        f"  {len(report.records)} records, {len(report.checks)} answers, {artifacts}".replace("not-read", "not read")
    )
    if levels := summary.levels(report):
        yield Text(f"  evidence: {', '.join(f'{count} {level}' for level, count in levels.items())}")
    if report.limitations:
        yield Text(f"  {len(report.limitations)} limits of what this means: in the JSON or HTML report", style="dim")


def _answer(answered: Answers) -> Text:
    status, question = answered.status, answered.question
    line = Text.assemble(
        (f"  {SYMBOLS[status]}", _STYLES[status]), f" {question.number:>2} ", (f"{visible(question.name):<13}", "bold")
    )
    for counted in STATUSES:
        if count := answered.count(counted):
            line.append(f" {count} {counted.replace('-', ' ')}", _STYLES[counted])
    return line if status else line.append(" not asked", _STYLES[None])


def _problem(problem: Problem) -> Iterator[Text]:
    symbol, style = SYMBOLS[problem.status], _STYLES[problem.status]
    names = ", ".join(f"{question.number} {visible(question.name)}" for question in problem.questions)
    yield Text.assemble((f"{symbol} {names}: ", style), _about(problem))
    yield Text(f"    {visible(problem.detail)}")


def _about(problem: Problem) -> str:
    names: Sequence[str] = [visible(name) for name in summary.in_ranges(problem.subjects)]
    more = len(names) - _MOST_SUBJECTS
    return ", ".join(names[:_MOST_SUBJECTS]) + (f" and {more} more" if more > 0 else "")
