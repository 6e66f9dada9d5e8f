"""``atlas tee verify``: judge evidence, offline, and say why."""

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path

from airflow_provider_atlas.cli.arguments import add_json, read_file, write_file
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.cli.tee_arguments import add_evidence, endorsements, judge_of
from airflow_provider_atlas.errors import ConfigError, MalformedError
from airflow_provider_atlas.report.evidence import print_evidence_report
from airflow_provider_atlas.verify.ear import Ear, token
from airflow_provider_atlas.verify.evidence import verify_evidence
from airflow_provider_atlas.verify.evidence_file import Presented
from airflow_provider_atlas.verify.evidence_policy import EvidencePolicy
from airflow_provider_atlas.verify.evidence_report import EvidenceReport
from airflow_provider_atlas.wiring import signers

_EXAMPLE = """\
examples:
  atlas tee verify quote.bin --collateral collateral.json
  atlas tee verify quote.hex --collateral collateral.json --at 2026-01-31T12:00:00Z --json
  atlas tee verify report.bin --collateral vcek.der --collateral ask_ark.pem --policy policy.yaml
  atlas tee verify tasks/train/1.bundle.json --policy policy.yaml --ear result.jwt --ear-key verifier.pem

Without a policy it judges whether the evidence is genuine and the firmware up to date, and says "signature only": any
guest would do. atlas tee policy from FILE writes a policy to start from.

exit codes: 0 yes · 1 verified and wrong · 2 usage or configuration · 3 cannot decide: endorsements are missing
"""


def configure(parser: ArgumentParser) -> None:
    """Add the arguments of ``atlas tee verify``."""
    parser.epilog = _EXAMPLE
    add_evidence(parser)
    parser.add_argument("--policy", metavar="FILE", help="what you accept; else any genuine guest, and nothing is said")
    parser.add_argument("--report-data", metavar="HEX", help="what the evidence must commit to, 64 bytes")
    parser.add_argument(
        "--fresh",
        action="append",
        default=[],
        metavar="FILE",
        help="collateral of today: tell what the vendor says of the platform now, too; repeatable",
    )
    parser.add_argument("--ear", metavar="FILE", help="write the result as a signed EAR (JWT) to this new file")
    parser.add_argument("--ear-key", metavar="FILE", help="the private key that signs it: ECDSA P-256 in PEM")
    parser.add_argument(
        "--show-identities", action="store_true", help="show which machine it was; else its names are salted"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Judge evidence, print the report, and return the exit code of its verdict."""
    if (options.ear is None) != (options.ear_key is None):
        raise ConfigError("an EAR is signed: name both --ear FILE and --ear-key KEY")
    output = Output(json=options.json)
    content = read_file(options.file, "the evidence")
    policy = EvidencePolicy.parse(read_file(options.policy, "the policy")) if options.policy else None
    fresh = endorsements(options.fresh, "--fresh")
    judge = judge_of(options, policy, fresh, plain=options.show_identities)
    report = verify_evidence(content, judge, *endorsements(options.collateral, "--collateral"))
    print_evidence_report(report, output.people)
    if options.ear is not None:
        _write_ear(report, content, options)
        output.say(f"  {options.ear}")
    output.document(report.to_bytes())
    return report.exit_code


def _write_ear(report: EvidenceReport, content: bytes, options: Namespace) -> None:
    try:
        evidence = Presented.parse(content).evidence
    except MalformedError as error:
        raise ConfigError(f"there is no evidence to write an EAR about: {error}") from error
    signer = signers.key_file_signer(options.ear_key)
    signing_input = Ear(issued=datetime.now(UTC), report=report, evidence=evidence).signing_input(
        signer.public_key.sha256
    )
    jwt = token(signing_input, signer.sign(signing_input))
    write_file(Path(options.ear), jwt.encode("ascii"))
