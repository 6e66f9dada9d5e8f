"""``atlas log``: audit a transparency log, and bring into it what could not be logged when it was made."""

from argparse import ArgumentParser, Namespace

from airflow_provider_atlas import wiring
from airflow_provider_atlas.attest.pending import drain as drain_spool
from airflow_provider_atlas.cli.arguments import add_json
from airflow_provider_atlas.cli.deployment import add_home, settings_of
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.encoding import JsonObject
from airflow_provider_atlas.errors import ConfigError, MalformedError
from airflow_provider_atlas.tlog.note import VerifierKey

_EXAMPLE = """\
examples:
  atlas log audit /var/lib/atlas/log --key 'atlas.example.org/log+3f2a…+AR8…'
  atlas log drain --home /var/lib/atlas
"""


def configure(parser: ArgumentParser) -> None:
    """Add the commands of ``atlas log``."""
    parser.epilog = _EXAMPLE
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    check = commands.add_parser(
        "audit",
        help="make every tile again from the entries, and compare",
        epilog="example: atlas log audit log --key 'atlas.example.org/log+3f2a…+AR8…'",
    )
    check.add_argument("log", metavar="LOG", help="the folder of the log, or its s3:// or postgresql:// URI")
    check.add_argument("--key", required=True, metavar="VKEY", help="the log's verifier key, name+id+key")
    add_json(check)
    check.set_defaults(run=audit)
    finish = commands.add_parser(
        "drain",
        help="finish the records that wait in the spool",
        epilog="example: atlas log drain --home /var/lib/atlas",
    )
    finish.add_argument("--at-most", type=int, default=10_000, metavar="N", help="how many to finish now: 10000")
    add_home(finish)
    add_json(finish)
    finish.set_defaults(run=drain)


def audit(options: Namespace) -> int:
    """Audit a log: exit 0 when all of it is what its checkpoint signs."""
    output = Output(json=options.json)
    try:
        key = VerifierKey.parse(options.key)
    except MalformedError as error:
        raise ConfigError(f"cannot use --key: {error}") from error
    checkpoint, tiles = wiring.audit_log(options.log, key)
    document: JsonObject = {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "tiles": tiles,
    }
    output.say("The log is what its checkpoint signs.")
    output.facts(document)
    output.document(document)
    return 0


def drain(options: Namespace) -> int:
    """Finish spooled records: exit 0 when none is left behind, 3 when some could not be finished."""
    output = Output(json=options.json)
    worker = wiring.worker(settings_of(options))
    done, problems = drain_spool(worker.spool, worker.sealer, worker.archive, at_most=options.at_most)
    left = len(worker.spool.names())
    output.say(f"{done} records were finished, {left} wait")
    for problem in problems:
        output.say(f"  {problem}")
    output.document({"finished": done, "waiting": left, "problems": list(problems)})
    return 3 if left else 0
