"""``atlas verify``: judge a run against a policy, offline, and say why."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from airflow_provider_atlas.cli.arguments import add_json, add_run, moment, read_file, run_folder
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.cli.tee_arguments import endorsements
from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.report import html
from airflow_provider_atlas.report.terminal import print_report
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.report import VerificationReport
from airflow_provider_atlas.wiring import archives, runs

_EXAMPLE = """\
examples:
  atlas verify archive/churn/manual__2026-01-31 --policy policy.yaml
  atlas verify churn manual__2026-01-31 --archive archive --policy policy.yaml --html report.html
  atlas verify archive/churn/manual__2026-01-31 --policy policy.yaml --json > report.json

exit codes: 0 passed · 1 failed · 2 usage or configuration · 3 undecided: something that the answer needs is missing
"""


def configure(parser: ArgumentParser) -> None:
    """Add the arguments of ``atlas verify``."""
    parser.epilog = _EXAMPLE
    add_run(parser)
    parser.add_argument(
        "--policy", metavar="FILE", help="what you trust: keys, logs, TEEs; atlas policy init writes one"
    )
    parser.add_argument("--html", metavar="FILE", help="write the report as one HTML page, too")
    parser.add_argument("--at", metavar="TIME", help="judge as of this moment, such as 2026-01-31T12:00:00Z; else now")
    parser.add_argument(
        "--fresh",
        action="append",
        default=[],
        metavar="FILE",
        help="collateral of that moment: tell what vendors say of the platforms then, too; repeatable",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Verify a run, print the report, and return the exit code of its verdict."""
    output = Output(json=options.json)
    report = _judged(options)
    print_report(report, output.people)
    if options.html is not None:
        write_html(report, Path(options.html))
        output.say(f"  {options.html}")
    output.document(report.to_bytes())
    return report.exit_code


def write_html(report: VerificationReport, path: Path) -> None:
    """Write ``report`` as a page. Raises ConfigError when ``path`` cannot be written."""
    try:
        path.write_text(html.render(report), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


def _judged(options: Namespace) -> VerificationReport:
    # A policy that lies beside the evidence would be the word of whoever made the evidence, so none is looked for.
    if options.policy is None:
        raise ConfigError("name whom you trust with --policy FILE; `atlas policy init` writes a policy to start from")
    policy = Policy.parse(read_file(options.policy, "the policy"))
    run = archives.open_run(str(run_folder(options)))
    wanted = tuple(options.run_name) if options.archive is not None else None
    fresh = endorsements(options.fresh, "--fresh") if options.fresh else ()
    return runs.verify_run_folder(run, policy, at=moment(options.at), wanted=wanted, fresh=fresh)
