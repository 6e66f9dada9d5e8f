"""Following a log over time: the last checkpoint that was found right is kept in a file, and the next compared with it.

What raised an alarm is never kept, so an alarm stays until the log is again what it was, or somebody removes the file.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from airflow_provider_atlas.errors import ConfigError, MalformedError, MissingError, SignatureError
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.backends.log_reader import LogReader
from airflow_provider_atlas.tlog.backends.sources import Source
from airflow_provider_atlas.tlog.checkpoint import SignedCheckpoint
from airflow_provider_atlas.tlog.monitor import Alarm, Seen, Watch
from airflow_provider_atlas.tlog.note import VerifierKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a look at a log found: the checkpoint that was ``seen`` before, the one ``shown`` now, and the alarms.

    The two notes, both signed by the log, are what convinces others of a fork.
    """

    seen: SignedCheckpoint | None
    shown: SignedCheckpoint | None
    alarms: Sequence[Alarm]


def look(source: Source, key: VerifierKey, watch: Watch, state: Path, now: datetime) -> Sighting:
    """Look at the log at ``source``, compare it with the file ``state``, and keep it there when nothing is wrong.

    Raises ConfigError when ``state`` cannot be used, LogError when the log is away, and MissingError when it lacks
    what the answer needs.
    """
    path = os.path.abspath(state)
    seen = _load(path, key)
    before = seen.signed if seen else None
    reader = LogReader(source, key)
    try:
        shown = reader.latest()
    except (SignatureError, MalformedError) as error:
        return Sighting(seen=before, shown=None, alarms=[Alarm(kind="signature", detail=str(error))])
    if shown is None:
        raise MissingError(f"the log at {source.place} has no checkpoint")
    try:
        alarms = watch.alarms(seen, shown, reader.tree(shown.checkpoint.size), now)
    except MalformedError as error:
        alarms = [Alarm(kind="tiles", detail=str(error))]
    if not alarms:
        changed = seen.changed if seen and before and before.checkpoint == shown.checkpoint else now
        _keep(path, Seen(signed=shown, changed=changed))
    return Sighting(seen=before, shown=shown, alarms=alarms)


def _load(path: str, key: VerifierKey) -> Seen | None:
    try:
        data = files.read(path)
        if data is None:
            return None
        seen = Seen.parse(data)
        seen.signed.verify(key.name, (key,))
    except OSError as error:
        raise ConfigError(f"cannot read the monitor's state {path}: {error.strerror}") from error
    except (MalformedError, SignatureError) as error:
        raise ConfigError(f"{path} is not what a monitor of this log keeps: {error}") from error
    return seen


def _keep(path: str, seen: Seen) -> None:
    try:
        files.replace(path, seen.to_bytes(), f"{path}.spare", durable=True)
        files.sync_folder(os.path.dirname(path))
    except OSError as error:
        raise ConfigError(f"cannot write the monitor's state {path}: {error.strerror}") from error
