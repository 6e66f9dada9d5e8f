"""A report on evidence alone, on a terminal: the verdict, how far it goes, and what stands in the way."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from airflow_provider_atlas.report.summary import DEVELOPMENT, SYMBOLS
from airflow_provider_atlas.report.visible import visible
from airflow_provider_atlas.verify.evidence_report import EvidenceReport
from airflow_provider_atlas.verify.tee_result import TeeResult


def print_evidence_report(report: EvidenceReport, console: Console) -> None:
    """Print ``report`` on ``console``."""
    for line in _lines(report):
        console.print(line, soft_wrap=True)


def _lines(report: EvidenceReport) -> Iterator[Text]:
    if report.tee and report.tee.development:
        yield Text.assemble((f" ⚠ {DEVELOPMENT} ", "bold black on yellow"))
    yield _verdict(report)
    policy = f"policy {visible(report.policy[0])}  sha256 {report.policy[1]}" if report.policy else "no policy"
    yield Text(f"  {policy}", style="dim")
    if report.tee:
        yield from _of_tee(report.tee)
    for check in report.failures:
        yield Text.assemble((f"{SYMBOLS[check.status]} {visible(check.code)}: ", "bold red"), visible(check.detail))


def _verdict(report: EvidenceReport) -> Text:
    match report.verdict:
        case "passed" if report.signature_only:
            sentence = "signature only: the evidence is genuine, and nobody said what the guest should be"
            return Text.assemble(("✓ GENUINE", "bold yellow"), f"  {sentence}")
        case "passed":
            level = report.tee.assurance if report.tee else "none"
            return Text.assemble(("✓ ACCEPTED", "bold green"), f"  the policy accepts it, at the level {level}")
        case "failed":
            return Text.assemble(("✗ REFUSED", "bold red"), "  the evidence is wrong, or not what is accepted")
        case "undecided":
            sentence = "something that the answer needs is missing. This is not a pass"
            return Text.assemble(("? UNDECIDED", "bold yellow"), f"  {sentence}")


def _of_tee(tee: TeeResult) -> Iterator[Text]:
    now = f", now {visible(tee.tcb_status_now)}" if tee.tcb_status_now else ""
    advisories = f" ({', '.join(map(visible, tee.advisory_ids))})" if tee.advisory_ids else ""
    yield Text(f"  {visible(tee.tee)}, TCB status {visible(tee.tcb_status or 'none')}{advisories}{now}")
    yield Text(f"  root  {tee.root_sha256}")
    for name, value in tee.measurements.items():
        yield Text(f"  {visible(name):<13} {visible(value)}", style="dim")
    if "event_log" in tee.facts:
        events = f"{tee.facts['event_log_events']} events"
        told = {"replayed": "they make rtmr0 to rtmr2", "differs": "they do not make rtmr0 to rtmr2: of another boot?"}
        yield Text(f"  event log     {events}; {told[str(tee.facts['event_log'])]}")
    for limit in tee.limits:
        yield Text.assemble(f"  at most {limit.level}: ", (limit.detail, "dim"))
