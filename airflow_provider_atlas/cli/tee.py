"""``atlas tee``: the evidence of trusted execution environments, by hand. Each command is a module of its own."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Mapping
from importlib import import_module

COMMANDS: Mapping[str, str] = {
    "quote": "ask this machine's TEE for evidence",
    "verify": "judge evidence: is it genuine, and is it what a policy accepts",
    "inspect": "show what evidence says of itself",
    "policy": "write a policy to start from",
    "helper": "ask the TEE for workers that may not, over a Unix socket",
    "simulate": "mount an emulated configfs-tsm, as Linux has it in a confidential guest",
}
"""Every command and what it does; the module of each is ``cli.tee_<name>``."""

_EXAMPLE = """\
examples:
  atlas tee quote --report-data $(openssl rand -hex 64) --out evidence.json
  atlas tee verify quote.bin --collateral collateral.json --at 2026-01-31T12:00:00Z
  atlas tee policy from quote.bin --collateral collateral.json > policy.yaml

exit codes: 0 yes · 1 verified and wrong · 2 usage or configuration · 3 cannot decide: endorsements are missing
"""


def configure(parser: ArgumentParser) -> None:
    """Add the commands of ``atlas tee``."""
    parser.epilog = _EXAMPLE
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        import_module(f"airflow_provider_atlas.cli.tee_{name}").configure(command)
