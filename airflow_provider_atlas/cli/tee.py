"""``atlas tee``: trusted execution environments: make evidence, serve it to workers, simulate it."""

from argparse import ArgumentParser

from airflow_provider_atlas.cli import tee_helper, tee_simulate

_EXAMPLE = """\
examples:
  atlas tee helper --attester tsm: --socket /run/atlas/tee.sock --allow-uid 50000
  atlas tee simulate --mount /tmp/tsm --home /tmp/tsm-platform
"""


def configure(parser: ArgumentParser) -> None:
    """Add the commands of ``atlas tee``."""
    parser.epilog = _EXAMPLE
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    tee_helper.configure(commands)
    tee_simulate.configure(commands)
