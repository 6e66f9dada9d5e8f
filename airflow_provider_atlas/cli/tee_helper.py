"""``atlas tee helper``: lets workers ask a TEE that root alone may ask."""

import grp
import signal
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from airflow_provider_atlas.cli.deployment import add_home, settings_of
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.wiring import tee_services
from airflow_provider_atlas.wiring.tee_services import HelperSocket

_EXAMPLE = """\
examples:
  atlas tee helper --attester tsm: --socket /run/atlas/tee.sock --allow-uid 50000
  atlas tee helper --attester tsm: --socket /run/atlas/tee.sock --allow-uid 50000 --mode 660 --group airflow

Workers set `attester = helper:/run/atlas/tee.sock`. Units for systemd, whose socket it takes, are in docker/systemd.
"""


def configure(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = _EXAMPLE
    parser.add_argument("--socket", metavar="PATH", help="where to listen, unless systemd passes a socket")
    parser.add_argument("--attester", metavar="URI", help="what to ask, such as tsm: or tpm:; else [atlas] attester")
    parser.add_argument(
        "--allow-uid", type=int, action="append", required=True, metavar="N", help="a user that may ask; repeatable"
    )
    parser.add_argument("--mode", default="666", metavar="OCTAL", help="the socket's mode: 666; --allow-uid decides")
    parser.add_argument("--group", metavar="NAME", help="the socket's group: that of this process")
    parser.add_argument("--max-rate", type=float, default=50, metavar="N", help="each user's requests a second: 50")
    parser.add_argument(
        "--batch", action="store_true", help="one quote for all who wait: workers set attester_mode = batch"
    )
    add_home(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Serve until SIGTERM or SIGINT, answer what was asked, and exit 0."""
    if options.max_rate <= 0 or min(options.allow_uid) < 0:
        raise ConfigError("expected --max-rate above 0, and each --allow-uid to be a number of a user")
    settings = settings_of(options)
    if options.attester is not None:
        settings = replace(settings, attester=options.attester)
    place = HelperSocket(
        path=Path(options.socket).absolute() if options.socket else None,
        mode=_mode(options.mode),
        group=_group(options.group) if options.group else None,
    )
    opened = tee_services.attestation_helper(settings, place, options.allow_uid, options.max_rate, batch=options.batch)
    with opened as (serve, stop):
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stop())
        users = ", ".join(map(str, sorted(set(options.allow_uid))))
        Output(json=False).say(
            f"serving {settings.attester} at {place.path or 'the socket of systemd'} to users {users}"
        )
        serve()
    return 0


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise ConfigError(f"expected --mode to be an octal number such as 660, not {text!r}")
    return mode


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise ConfigError(f"expected --group to be a group of this machine; {name!r} is none") from error
