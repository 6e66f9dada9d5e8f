"""``atlas tee inspect``: what evidence says of itself, for people. Nothing is verified here."""

from argparse import ArgumentParser, Namespace

from airflow_provider_atlas.cli.arguments import add_json, read_file
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.cli.recognition import describe_evidence
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.verify.evidence_file import Presented

_EXAMPLE = """\
examples:
  atlas tee inspect quote.bin
  atlas tee inspect tasks/train/1.bundle.json --json

To know whether any of it is true, use atlas tee verify.
"""


def configure(parser: ArgumentParser) -> None:
    """Add the arguments of ``atlas tee inspect``."""
    parser.epilog = _EXAMPLE
    parser.add_argument("file", metavar="FILE", help="a quote (raw, hex or base64), evidence in JSON, or a bundle")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Show evidence."""
    output = Output(json=options.json)
    try:
        presented = Presented.parse(read_file(options.file, "the evidence"))
        description = describe_evidence(presented.evidence, presented.binding)
    except MalformedError as error:
        raise MalformedError(f"{options.file}: {error}") from error
    output.facts(description)
    output.say("Nothing of this was verified: it is what the evidence says of itself.")
    output.document(description)
    return 0
