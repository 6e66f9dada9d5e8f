"""``atlas log``: serve, audit, watch and witness transparency logs, prove what is in them, drain the spool."""

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter

from airflow_provider_atlas.attest.pending import drain as drain_spool
from airflow_provider_atlas.cli import log_monitor, log_proof, log_serve, log_witness
from airflow_provider_atlas.cli.arguments import add_json
from airflow_provider_atlas.cli.deployment import add_home, settings_of
from airflow_provider_atlas.cli.log_arguments import add_log, log_key
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.encoding import JsonObject
from airflow_provider_atlas.merkle import EMPTY_ROOT
from airflow_provider_atlas.wiring import logs, workers

_EXAMPLE = """\
examples:
  atlas log audit /var/lib/atlas/log --key 'atlas.example.org/log+3f2a…+AR8…'
  atlas log audit https://logs.example.org/atlas --key 'atlas.example.org/log+3f2a…+AR8…'
  atlas log drain --home /var/lib/atlas
  atlas log integrate --home /var/lib/atlas
  atlas log serve --home /var/lib/atlas
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
    add_log(check)
    add_json(check)
    check.set_defaults(run=audit)
    cover = commands.add_parser(
        "integrate",
        help="have the log of this machine sign for all that it took (log_integration = deferred)",
        epilog="example: atlas log integrate --home /var/lib/atlas",
    )
    add_home(cover)
    add_json(cover)
    cover.set_defaults(run=integrate)
    finish = commands.add_parser(
        "drain",
        help="finish the records that wait in the spool",
        epilog="example: atlas log drain --home /var/lib/atlas",
    )
    finish.add_argument("--at-most", type=int, default=10_000, metavar="N", help="how many to finish now: 10000")
    add_home(finish)
    add_json(finish)
    finish.set_defaults(run=drain)
    log_proof.configure(commands)
    log_monitor.configure(commands)
    log_witness.configure(commands)
    log_serve.configure(
        commands.add_parser(
            "serve",
            help="keep the log for others, over Rekor v2's interface",
            epilog=log_serve.EXAMPLE,
            formatter_class=RawDescriptionHelpFormatter,
        )
    )


def audit(options: Namespace) -> int:
    """Audit a log: exit 0 when all of it is what its checkpoint signs."""
    output = Output(json=options.json)
    with output.progress("Auditing") as progress:
        checkpoint, tiles = logs.audit_log(options.log, log_key(options), progress)
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


def integrate(options: Namespace) -> int:
    """Integrate what the log took: exit 0 when it has signed for all of it."""
    output = Output(json=options.json)
    checkpoint = logs.integrate_log(settings_of(options))
    document: JsonObject = {
        "size": checkpoint.size if checkpoint else 0,
        "root": checkpoint.root.hex() if checkpoint else EMPTY_ROOT.hex(),
    }
    output.say("The log has signed for all that it took.")
    output.facts(document)
    output.document(document)
    return 0


def drain(options: Namespace) -> int:
    """Finish spooled records: exit 0 when none is left behind, 3 when some could not be finished."""
    output = Output(json=options.json)
    worker = workers.worker(settings_of(options))
    done, problems = drain_spool(worker.spool, worker.sealer, worker.archive, at_most=options.at_most)
    left = len(worker.spool.names())
    output.say(f"{done} records were finished, {left} wait")
    for problem in problems:
        output.say(f"  {problem}")
    output.document({"finished": done, "waiting": left, "problems": list(problems)})
    return 3 if left else 0
