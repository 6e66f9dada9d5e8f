"""``atlas keys``: make a key that signs tasks, and show by what name others know it."""

from argparse import ArgumentParser, Namespace

from airflow_provider_atlas.cli.arguments import add_json, read_file
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.errors import ConfigError, MalformedError
from airflow_provider_atlas.signing.keys import SCHEME, PublicKey
from airflow_provider_atlas.wiring import signers

_EXAMPLE = """\
examples:
  atlas keys generate --out task.pem
  atlas keys show task.pem
"""


def configure(parser: ArgumentParser) -> None:
    """Add the commands of ``atlas keys``."""
    parser.epilog = _EXAMPLE
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    make = commands.add_parser(
        "generate", help="make an ECDSA P-256 key", epilog="example: atlas keys generate --out k.pem"
    )
    make.add_argument(
        "--out", required=True, metavar="FILE", help="the new file to keep it in, for its owner's eyes only"
    )
    add_json(make)
    make.set_defaults(run=generate)
    look = commands.add_parser("show", help="show a key's public half", epilog="example: atlas keys show task.pem")
    look.add_argument("file", metavar="FILE", help="a private or public key in PEM")
    add_json(look)
    look.set_defaults(run=show)


def generate(options: Namespace) -> int:
    """Make a key and show its public half."""
    key = signers.make_key(options.out)
    return _show(key, Output(json=options.json), options.out)


def show(options: Namespace) -> int:
    """Show the public half of a key."""
    return _show(public_key(options.file), Output(json=options.json), options.file)


def public_key(path: str) -> PublicKey:
    """Return the public key in ``path``, or that of the private key there. Raises ConfigError when there is none."""
    content = read_file(path, "the key")
    if b"PRIVATE KEY" in content:
        return signers.public_half(path)
    try:
        return PublicKey.from_pem(content)
    except MalformedError as error:
        raise ConfigError(f"cannot use the key {path}: {error}") from error


def _show(key: PublicKey, output: Output, path: str) -> int:
    names = {"file": path, "sha256": key.sha256, "keyid": key.keyid, "scheme": SCHEME}
    output.facts(names)
    output.say(*key.pem.splitlines())
    output.document({**names, "public_key": key.pem})
    return 0
