"""``atlas log monitor``: look at a log, compare it with what it showed before, and raise an alarm."""

from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from airflow_provider_atlas.cli.arguments import add_json
from airflow_provider_atlas.cli.log_arguments import add_log, add_witnesses, log_key, witnesses
from airflow_provider_atlas.cli.output import Output
from airflow_provider_atlas.encoding import Json
from airflow_provider_atlas.errors import LogError, MissingError
from airflow_provider_atlas.tlog.checkpoint import SignedCheckpoint
from airflow_provider_atlas.tlog.monitor import Alarm, Watch
from airflow_provider_atlas.wiring import logs

_EXAMPLE = """\
example, for cron:
  atlas log monitor https://logs.example.org/atlas --key 'atlas.example.org/log+3f2a…+AR8…' \\
    --state /var/lib/atlas-monitor/log.json --max-age 86400

exit codes: 0 all is well · 1 alarm · 2 usage or configuration · 3 the log is away, or lacks what the answer needs
"""


def configure(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("monitor", help="compare a log with what it showed before", epilog=_EXAMPLE)
    add_log(parser)
    parser.add_argument("--state", required=True, metavar="FILE", help="where the last good checkpoint is kept")
    parser.add_argument("--max-age", type=int, metavar="SECONDS", help="alarm when the checkpoint is older")
    add_witnesses(parser)
    add_json(parser)
    parser.set_defaults(run=monitor)


def monitor(options: Namespace) -> int:
    """Look at a log: exit 0 when it extends what it showed before, 1 with an alarm, 3 when there is no answer."""
    output, key = Output(json=options.json), log_key(options)
    age = None if options.max_age is None else timedelta(seconds=options.max_age)
    watch = Watch(witnesses=witnesses(options), max_age=age)
    try:
        seen, shown, alarms = logs.watch_log(options.log, key, watch, options.state, datetime.now(UTC))
    except (LogError, MissingError) as error:
        output.say(f"The log cannot be judged: {error}")
        output.document({"status": "unreachable", "detail": str(error)})
        return 3
    _tell(output, shown, alarms)
    output.document(
        {
            "status": "alarm" if alarms else "ok",
            "alarms": [{"kind": alarm.kind, "detail": alarm.detail} for alarm in alarms],
            "seen": _note(seen),
            "shown": _note(shown),
        }
    )
    return 1 if alarms else 0


def _tell(output: Output, shown: SignedCheckpoint | None, alarms: Sequence[Alarm]) -> None:
    for alarm in alarms:
        output.say(f"ALARM {alarm.kind}: {alarm.detail}")
    if shown and not alarms:
        checkpoint = shown.checkpoint
        output.say(f"All is well: {checkpoint.origin} has {checkpoint.size} entries, root {checkpoint.root.hex()}")


def _note(signed: SignedCheckpoint | None) -> Json:
    return signed.note.to_bytes().decode() if signed else None
