"""``atlas inspect``: what a file of Atlas says of itself, for people. Nothing is verified here."""

from argparse import ArgumentParser, Namespace

from airflow_provider_atlas.cli.arguments import add_json, read_file
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.cli.recognition import describe
from airflow_provider_atlas.errors import MalformedError

_EXAMPLE = """\
examples:
  atlas inspect archive/churn/manual__2026-01-31/tasks/train/1.bundle.json
  atlas inspect quote.bin --json

It knows bundles, links, statements, layouts, pipelines, policies, reports, checkpoints, receipts (tlog-proof), raw
TDX quotes and SNP reports. To know whether any of it is true, use atlas verify.
"""


def configure(parser: ArgumentParser) -> None:
    """Add the arguments of ``atlas inspect``."""
    parser.epilog = _EXAMPLE
    parser.add_argument("file", metavar="FILE", help="the file to show")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Show a file."""
    output = Output(json=options.json)
    try:
        description = describe(read_file(options.file, "the file"))
    except MalformedError as error:
        raise MalformedError(f"{options.file}: {error}") from error
    output.facts(description)
    output.say("Nothing of this was verified: it is what the file says of itself.")
    output.document(description)
    return 0
