"""``atlas tee quote``: ask this machine's TEE for evidence that commits to some bytes."""

import hashlib
import secrets
from argparse import ArgumentParser, Namespace
from pathlib import Path

from airflow_provider_atlas.cli.arguments import read_file, write_file
from airflow_provider_atlas.cli.deployment import add_home, settings_of
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.cli.tee_arguments import report_data
from airflow_provider_atlas.encoding import canonical_json
from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.wiring import tees

_EXAMPLE = """\
examples:
  atlas tee quote --report-data $(openssl rand -hex 64) --out evidence.json
  atlas tee quote --file model.safetensors --raw --out quote.bin
  atlas tee quote | atlas tee policy from /dev/stdin --out policy.yaml

The TEE is that of the setting [atlas] attester. The evidence is JSON, with what vouches for the platform; --raw gives
the quote alone, as the hardware made it.
"""


def configure(parser: ArgumentParser) -> None:
    """Add the arguments of ``atlas tee quote``."""
    parser.epilog = _EXAMPLE
    committed = parser.add_mutually_exclusive_group()
    committed.add_argument("--report-data", metavar="HEX", help="the 64 bytes to commit to; else random ones")
    committed.add_argument("--file", metavar="F", help="commit to the SHA-512 of this file")
    parser.add_argument("--raw", action="store_true", help="write the quote alone")
    parser.add_argument("--out", metavar="FILE", help="a new file for it; else standard output")
    add_home(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Ask for evidence and write it."""
    output = Output(json=False)
    attester = tees.attester(settings_of(options))
    if attester is None:
        raise ConfigError("[atlas] attester is none: set it to the TEE of this machine, or to simulated:/a/folder")
    evidence = attester.attest(_committed(options))
    content = evidence.quote if options.raw else canonical_json(evidence.to_json())
    if options.out is None:
        output.write(content if options.raw else content + b"\n")
    else:
        write_file(Path(options.out), content)
        output.remark(f"{options.out} holds evidence of the TEE {evidence.tee}, by {evidence.provider}")
    return 0


def _committed(options: Namespace) -> bytes:
    committed = report_data(options)
    if committed is None:
        named = options.file is not None
        return hashlib.sha512(read_file(options.file, "the file")).digest() if named else secrets.token_bytes(64)
    if len(committed) != 64:
        raise ConfigError("cannot use --report-data: expected 64 bytes in hex")
    return committed
