"""``atlas tee policy``: write a policy to start from, by evidence that is known to be good."""

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path

from airflow_provider_atlas.cli.arguments import read_file, write_file
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.cli.tee_arguments import add_evidence, endorsements, judge_of
from airflow_provider_atlas.errors import MissingError, VerificationError
from airflow_provider_atlas.verify.evidence import verify_evidence
from airflow_provider_atlas.verify.evidence_policy import EvidencePolicy
from airflow_provider_atlas.verify.tee_starting import starting_tee_policy

_EXAMPLE = """\
examples:
  atlas tee policy from quote.bin --collateral collateral.json --out policy.yaml
  atlas tee policy from quote.bin --collateral collateral.json --at 2026-01-31T12:00:00Z

It pins what this evidence measures and comments out what else could be asked. Read it: evidence of a machine that is
not yours makes a policy that accepts that machine.
"""


def configure(parser: ArgumentParser) -> None:
    """Add the commands of ``atlas tee policy``."""
    parser.epilog = _EXAMPLE
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    start = commands.add_parser(
        "from",
        help="write the policy that accepts this evidence",
        description="Write a policy that accepts the guest and the platform of this evidence, once it is genuine.",
        epilog=_EXAMPLE,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_evidence(start)
    start.add_argument("--name", default="starting", help="what the policy is called in reports: starting")
    start.add_argument("--out", metavar="FILE", help="a new file for it; else standard output")
    start.set_defaults(run=write_policy)


def write_policy(options: Namespace) -> int:
    """Write a starting policy."""
    output = Output(json=False)
    content = read_file(options.file, "the evidence")
    judge = judge_of(options, None, plain=True)
    report = verify_evidence(content, judge, *endorsements(options.collateral, "--collateral"))
    if report.tee is None:
        reason = "; ".join(check.detail for check in report.failures)
        raise MissingError(reason) if report.verdict == "undecided" else VerificationError(reason)
    policy = starting_tee_policy(report.tee, name=options.name)
    EvidencePolicy.parse(policy)
    if options.out is None:
        output.write(policy)
        return 0
    write_file(Path(options.out), policy)
    output.remark(f"{options.out} accepts this guest on this platform; read it before you use it")
    return 0
