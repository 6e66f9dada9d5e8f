"""``atlas log witness``: make a witness, and run it."""

import logging
import signal
import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Mapping, Sequence

from airflow_provider_atlas.cli.arguments import add_json
from airflow_provider_atlas.cli.log_arguments import verifier_key
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.wiring import logs

_EXAMPLE = """\
examples:
  atlas log witness make /var/lib/atlas-witness --name witness.example.org/w1
  atlas log witness serve /var/lib/atlas-witness --log 'atlas.example.org/log+3f2a…+AR8…' --listen 127.0.0.1:7380

A witness never signs two histories of one log, as long as its folder is not lost or replaced by an older one: make a
new witness then, with a new key. Serve it behind a reverse proxy, which brings TLS and limits.
"""
_ALGORITHMS = ("ed25519", "ml-dsa-44")


def configure(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the commands."""
    parser = commands.add_parser("witness", help="cosign the checkpoints of other people's logs", epilog=_EXAMPLE)
    actions = parser.add_subparsers(metavar="COMMAND", required=True)
    new = actions.add_parser("make", help="make a witness, with keys of its own", epilog=_EXAMPLE)
    new.add_argument("folder", metavar="DIR", help="the new folder of the witness")
    new.add_argument("--name", required=True, help="what it is called, such as witness.example.org/w1")
    new.add_argument(
        "--algorithm", action="append", choices=_ALGORITHMS, help="what it signs with, ed25519 by default; repeatable"
    )
    add_json(new)
    new.set_defaults(run=make)
    run = actions.add_parser("serve", help="cosign what is asked for over HTTP", epilog=_EXAMPLE)
    run.add_argument("folder", metavar="DIR", help="the folder of the witness")
    run.add_argument("--log", action="append", default=[], metavar="VKEY", help="a log to cosign; repeatable")
    run.add_argument("--logs", metavar="FILE", help="the logs to cosign: the log lines of a tlog-policy")
    run.add_argument("--listen", default="127.0.0.1:7380", metavar="HOST:PORT", help="where: 127.0.0.1:7380")
    run.add_argument("--prefix", default="", metavar="PATH", help="what comes before /add-checkpoint, such as /w1")
    run.set_defaults(run=serve)


def make(options: Namespace) -> int:
    """Make a witness and show its verifier keys."""
    output = Output(json=options.json)
    chosen = [algorithm for algorithm in _ALGORITHMS if algorithm in (options.algorithm or _ALGORITHMS[:1])]
    keys = logs.make_witness(options.folder, options.name, chosen)
    output.say(f"A witness was made in {options.folder}. Those who trust it name it so:")
    output.say(*map(str, keys))
    output.document({"folder": options.folder, "vkeys": [str(key) for key in keys]})
    return 0


def serve(options: Namespace) -> int:
    """Serve a witness until it is told to stop."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    output, keys = Output(json=True), _logs(options)
    server, vkeys = logs.witness_server(options.folder, keys, _address(options.listen), options.prefix)
    signal.signal(signal.SIGTERM, _stop)  # as a service manager asks; what is being answered is durable already
    output.say(f"Witness {vkeys[0].name} for {', '.join(keys)}, at port {server.server_port}", *map(str, vkeys))
    try:
        server.serve_forever()
    except (KeyboardInterrupt, _StoppedError):
        output.say("The witness stops.")
    finally:
        server.server_close()
    return 0


class _StoppedError(BaseException):
    pass


def _stop(*_: object) -> None:
    raise _StoppedError


def _logs(options: Namespace) -> Mapping[str, Sequence[VerifierKey]]:
    keys = [verifier_key(text) for text in options.log]
    if options.logs:
        keys += [log.key for log in logs.read_witness_policy(options.logs).logs]
    if not keys:
        raise ConfigError("expected a log to cosign: name one with --log, or some with --logs")
    by_origin: dict[str, list[VerifierKey]] = {}
    for key in keys:
        by_origin.setdefault(key.name, []).append(key)
    return by_origin


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ConfigError(f"expected HOST:PORT to listen at, and not {text!r}")
    return host.strip("[]"), int(port)
