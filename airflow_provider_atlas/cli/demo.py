"""``atlas demo``: the main job, end to end, on real data: attest, log, verify; then tamper, and see it refused."""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.cli.arguments import add_json, read_file, write_file
from airflow_provider_atlas.cli.demo_airflow import AirflowFailedError, make_database, run_pipeline
from airflow_provider_atlas.cli.demo_folder import DemoFolder, check_installed
from airflow_provider_atlas.cli.demo_tampering import Tampering, tamper
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.cli.verify import write_html
from airflow_provider_atlas.encoding import JsonObject
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.report.terminal import print_report
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.report import VerificationReport
from airflow_provider_atlas.wiring import archives, logs, runs

_EXAMPLE = """\
example:
  atlas demo --out atlas-demo

It takes about a minute, needs scikit-learn and no network, and leaves everything it made in the folder: the records,
the log, the policy, the report. Exit code 0 when the run passed and the tampered copy of it was refused.
"""


def configure(parser: ArgumentParser) -> None:
    """Add the arguments of ``atlas demo``."""
    parser.epilog = _EXAMPLE
    parser.add_argument("--out", default="atlas-demo", metavar="DIR", help="the folder to work in: atlas-demo")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Run the demonstration: exit 0 when the run passed and its tampered copy did not."""
    began = time.monotonic()
    output = Output(json=options.json)
    folder = DemoFolder(Path(options.out).absolute())
    check_installed()
    folder.prepare()
    _attest(folder, output)
    policy = Policy.parse(read_file(str(folder.policy), "the policy"))
    report = _verify(folder, policy, output)
    tampering = tamper(folder.run(), folder.path / "tampered")
    refused = _judge(tampering.run, policy)
    _tell_tampering(tampering, refused, output)
    output.say("", f"All of it is in {folder.path}; the report: {folder.path / 'report.html'}")
    output.document(_document(folder, report, tampering, refused, time.monotonic() - began))
    return _exit_code(report, refused)


def _attest(folder: DemoFolder, output: Output) -> None:
    output.say(f"1  A pipeline runs in an Airflow of its own, in {folder.path}, and each task is attested as it ends:")
    try:
        with output.working("making Airflow's database"):
            make_database(folder)
        with output.working("the pipeline runs"):
            run_pipeline(folder, lambda bundle: output.say(_line(bundle)))
    except AirflowFailedError as error:
        output.remark("Airflow failed. The last that it said:")
        for line in error.lines:
            output.remark(f"  {line}")
        raise


def _line(bundle: AttestationBundle) -> str:
    link = Link.parse(bundle.envelopes["link"].payload)
    took = (link.environment.finished - link.environment.started).total_seconds()
    receipt = bundle.receipts.get("link")
    logged = f"log entry {receipt.index}" if receipt else "not logged yet"
    tee = f"{bundle.bound_evidence.evidence.provider} quote" if bundle.bound_evidence else "no quote"
    files = f"{len(link.inputs)} in, {len(link.products)} out"
    return f"   {link.outcome.state:<8}  {link.name:<14}  {files:<12}  {took:5.2f} s  {tee}, {logged}"


def _verify(folder: DemoFolder, policy: Policy, output: Output) -> VerificationReport:
    report = _judge(folder.run(), policy)
    write_file(folder.path / "report.json", report.to_bytes())
    write_html(report, folder.path / "report.html")
    output.say("", "2  The run is verified against the policy, from its records alone:")
    print_report(report, output.people)
    output.say(f"  The log has {_log_size(folder)} entries; made again from them, its tiles are what it signed.")
    return report


def _judge(run: Path, policy: Policy) -> VerificationReport:
    return runs.verify_run_folder(archives.open_run(str(run)), policy, at=datetime.now(UTC))


def _tell_tampering(tampering: Tampering, refused: VerificationReport, output: Output) -> None:
    output.say(
        "",
        "3  In a copy of the run, one byte is changed: the first of the digest of",
        f"   {tampering.uri}",
        f"   in the record {tampering.subject}, {tampering.before[:8]}… to {tampering.after[:8]}…. Verified again:",
    )
    if refused.verdict != "failed":
        output.say(f"   {refused.verdict}: the change was NOT noticed")
        return
    first = refused.failures[0]
    output.say(
        f"   failed, as it must: question {first.number}, {first.name}, of {first.subject}:", f"   {first.detail}"
    )


def _document(
    folder: DemoFolder, report: VerificationReport, tampering: Tampering, refused: VerificationReport, seconds: float
) -> JsonObject:
    tampered: Mapping[str, str | int | None] = {
        "verdict": refused.verdict,
        "record": tampering.subject,
        "uri": tampering.uri,
        "check": refused.failures[0].name if refused.failures else None,
    }
    return {
        "folder": str(folder.path),
        "run": str(folder.run()),
        "policy": str(folder.policy),
        "report": str(folder.path / "report.json"),
        "html": str(folder.path / "report.html"),
        "verdict": report.verdict,
        "development": report.development,
        "records": len(report.records),
        "artifacts": len(report.artifacts),
        "log_size": _log_size(folder),
        "tampered": tampered,
        "seconds": round(seconds, 1),
    }


def _log_size(folder: DemoFolder) -> int:
    """Return how many entries the audited log has. Raises what an audit raises."""
    checkpoint, _ = logs.audit_log(str(folder.path / "log"), logs.log_verifier_key(folder.settings))
    return checkpoint.size


def _exit_code(report: VerificationReport, refused: VerificationReport) -> int:
    return report.exit_code if report.verdict != "passed" else int(refused.verdict != "failed")
