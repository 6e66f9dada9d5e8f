"""Digests of the XComs that a task pulls and pushes, seen on the channel between its process and Airflow's supervisor.

The channel is the one place that all of them cross: an XCom backend sees neither lazy reads of mapped upstreams nor
asynchronous ones. What goes over it is JSON, and the digest is the SHA-256 of that in canonical form (RFC 8785).

``CommsDecoder`` is no public name of the task SDK. Where it cannot be watched, a link says so.
"""

import functools
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_atlas.airflow.task_run import Operator
from airflow_provider_atlas.airflow.trouble import tell
from airflow_provider_atlas.encoding import canonical_json, sha256_hex
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.intoto.environment import Unmeasured
from airflow_provider_atlas.intoto.task_run import UNMAPPED, TaskRun, step_name

RETURN_KEY = "return_value"
"""The key under which Airflow pushes what ``execute`` returned."""

Pushers = Callable[[str, str], Sequence[int] | None]
"""(task id, key) → the map indices that pushed that key in this run, ascending; None where that is not known."""

_MARK = "__atlas_watched__"
_SEEN = frozenset({"GetXCom", "GetXComSequenceItem", "GetXComSequenceSlice", "SetXCom", "DeleteXCom"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Whose XCom: ``map_index`` is None for a message that names none."""

    dag_id: str
    run_id: str
    task_id: str
    key: str
    map_index: int | None = None

    def __str__(self) -> str:
        """Return a name for people: nothing parses it."""
        return f"xcom:{self.dag_id}/{self.run_id}/{self.task_id}/{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """Values that came over the channel, by digest. ``at`` is which of a sequence they are: an offset or a slice."""

    source: Source
    digests: Sequence[str]
    at: int | slice | None


@dataclass(slots=True)
class Traffic:
    """What crossed the channel of one task's process so far.

    ``pushes`` holds the last digest of each; ``trouble`` what could not be measured.
    """

    pulls: list[Pull] = field(default_factory=list)
    pushes: dict[Source, str] = field(default_factory=dict)
    trouble: list[Unmeasured] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class XComs:
    """A link's XComs: ``pulled`` by ``step/key``, ``pushed`` by key, each to a SHA-256 in hex."""

    pulled: Mapping[str, str]
    pushed: Mapping[str, str]
    unmeasured: Sequence[Unmeasured]


class _Watch:
    """The one watch of this process. A channel carries one task, so another channel means another task."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self._channel: object = None
        self._traffic = Traffic()

    def on(self, channel: object) -> Traffic:
        if channel is not self._channel:
            self._channel, self._traffic = channel, Traffic()
        return self._traffic


_WATCH = _Watch()


def watch() -> None:
    """Watch every channel of this process from now on. Never raises: where it fails, links say so.

    May be called again: ``dag.test()`` loads its channel late.
    """
    try:
        from airflow.sdk.execution_time import comms

        channels: list[type] = [comms.CommsDecoder]
        if (supervisor := sys.modules.get("airflow.sdk.execution_time.supervisor")) is not None:
            channels.append(supervisor.InProcessSupervisorComms)
        for channel in channels:
            _wrap(channel)
    except (ImportError, AttributeError, TypeError) as error:
        if _WATCH.problem is None:
            tell(f"XComs cannot be measured with this version of Airflow's task SDK: {error}")
        _WATCH.problem = "this version of Airflow's task SDK cannot be watched"


def traffic(*, pulls_expected: bool) -> Traffic:
    """Return what crossed the channel of the task that runs now, and go on watching it.

    ``dag.test()`` renders its first task before there is a watch. Where the task may have pulled something by then
    (``pulls_expected``), the link will say that it was not seen.
    """
    from airflow.sdk.execution_time import task_runner

    channel = getattr(task_runner, "SUPERVISOR_COMMS", None)
    late = not _is_watched(type(channel))
    watch()
    seen = _WATCH.on(channel)
    if _WATCH.problem is not None:
        seen.trouble.append(Unmeasured(uri="xcom:*", reason=_WATCH.problem))
    elif late and pulls_expected:
        reason = "the watch began late: what was pulled to render the task's fields was not seen"
        seen.trouble.append(Unmeasured(uri="xcom:*", reason=reason))
    return seen


def xcoms_of(seen: Traffic, run: TaskRun, pushers: Pushers) -> XComs:
    """Return the XComs of the execution ``run`` among what was ``seen``."""
    trouble = list(seen.trouble)
    pulled: dict[str, str] = {}
    for pull in seen.pulls:
        for name, digest in _named(pull, run, pushers, trouble):
            if pulled.setdefault(name, digest) != digest:
                trouble.append(Unmeasured(uri=f"xcom:{name}", reason="it changed while the task ran"))
    pushed: dict[str, str] = {}
    for source, digest in seen.pushes.items():
        if _is_own(source, run):
            pushed[source.key] = digest
        else:
            trouble.append(Unmeasured(uri=str(source), reason="the task wrote it among the XComs of another"))
    return XComs(pulled=pulled, pushed=pushed, unmeasured=trouble)


def returned(result: object, operator: Operator) -> XComs:
    """Return what Airflow will push of ``result``, once ``execute`` has returned it.

    Raises whatever Airflow's serializer raises: then the push will fail the same way, and the task with it.
    """
    if result is None or not operator.do_xcom_push:
        return XComs(pulled={}, pushed={}, unmeasured=())
    values: dict[str, object] = {}
    if operator.multiple_outputs:
        values = dict(result)  # type: ignore[call-overload]  # Airflow refuses what is no mapping just so
    values[RETURN_KEY] = result
    if not _serializes_itself():
        reason = "the XCom backend is not Airflow's own: what it writes is not known before it does"
        return XComs(pulled={}, pushed={}, unmeasured=[Unmeasured(uri=f"xcom:{key}", reason=reason) for key in values])
    return _pushed(values)


def _pushed(values: Mapping[str, object]) -> XComs:
    from airflow.sdk.bases.xcom import BaseXCom

    pushed: dict[str, str] = {}
    trouble: list[Unmeasured] = []
    for key, value in values.items():
        wire = BaseXCom.serialize_value(value)
        try:
            pushed[key] = _digest(wire)
        except MalformedError as error:
            trouble.append(Unmeasured(uri=f"xcom:{key}", reason=str(error)))
    return XComs(pulled={}, pushed=pushed, unmeasured=trouble)


def _serializes_itself() -> bool:
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time.xcom import XCom

    same_set = getattr(XCom.set, "__func__", None) is getattr(BaseXCom.set, "__func__", None)
    return same_set and XCom.serialize_value is BaseXCom.serialize_value


def _named(pull: Pull, run: TaskRun, pushers: Pushers, trouble: list[Unmeasured]) -> Sequence[tuple[str, str]]:
    source = pull.source
    own = (source.dag_id, source.run_id) == (run.dag_id, run.run_id)
    prefix = "" if own else f"{source.dag_id}/{source.run_id}/"
    if pull.at is None:
        order: Sequence[int] = [UNMAPPED if source.map_index is None else source.map_index]
    else:
        order = _places(pull, pushers(source.task_id, source.key) if own else None)
    if len(order) != len(pull.digests):
        trouble.append(Unmeasured(uri=str(source), reason="which instances of a mapped task pushed it is not known"))
        return ()
    names = [f"{prefix}{step_name(source.task_id, index)}/{source.key}" for index in order]
    return list(zip(names, pull.digests, strict=True))


def _places(pull: Pull, order: Sequence[int] | None) -> Sequence[int]:
    if order is None:
        # Of another run nothing is known. One value of an unmapped task is what nearly every such pull is; but it
        # may as well be the one instance of a mapped task.
        return ()
    if isinstance(pull.at, slice):
        return order[pull.at]
    at = pull.at or 0
    return [order[at]] if -len(order) <= at < len(order) else ()


def _is_own(source: Source, run: TaskRun) -> bool:
    index = UNMAPPED if source.map_index is None else source.map_index
    return (source.dag_id, source.run_id, source.task_id, index) == (
        run.dag_id,
        run.run_id,
        run.task_id,
        run.map_index,
    )


def _is_watched(channel: type) -> bool:
    return hasattr(getattr(channel, "send", None), _MARK)


def _wrap(channel: type) -> None:
    # On the class: instances have slots, and a process may make several. The signatures are Airflow's, which calls
    # with msg by name as well as by position.
    if _is_watched(channel):
        return
    send: Callable[[object, object], object] = channel.send  # type: ignore[attr-defined]  # checked by the caller

    @functools.wraps(send)
    def send_and_see(self: object, msg: object) -> object:
        response = send(self, msg)
        _see(self, msg, response)
        return response

    setattr(send_and_see, _MARK, True)
    if hasattr(channel, "asend"):
        channel.asend = _wrapped_asend(channel.asend)
    channel.send = send_and_see  # type: ignore[attr-defined]  # as above


def _wrapped_asend(asend: Callable[[object, object], Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    @functools.wraps(asend)
    async def send_and_see(self: object, msg: object) -> object:
        response = await asend(self, msg)
        _see(self, msg, response)
        return response

    return send_and_see


def _see(channel: object, msg: object, response: object) -> None:
    kind = getattr(msg, "type", None)
    if kind not in _SEEN:
        return
    seen = _WATCH.on(channel)
    try:
        _note(seen, str(kind), msg, response)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in looking must not go wrong in the task
        seen.trouble.append(Unmeasured(uri=f"xcom:{getattr(msg, 'task_id', '')}", reason=f"{kind}: {error}"))


def _note(seen: Traffic, kind: str, msg: Any, response: Any) -> None:  # noqa: ANN401 - Airflow's messages
    source = Source(
        dag_id=msg.dag_id,
        run_id=msg.run_id,
        task_id=msg.task_id,
        key=msg.key,
        map_index=getattr(msg, "map_index", None),
    )
    if kind == "SetXCom":
        seen.pushes[source] = _digest(msg.value)
    elif kind == "DeleteXCom":
        seen.pushes.pop(source, None)
    elif getattr(msg, "include_prior_dates", False):
        seen.trouble.append(Unmeasured(uri=str(source), reason="pulled from a run that Airflow does not name"))
    elif kind == "GetXCom":
        # None is how Airflow says that there is no such XCom.
        if response.value is not None:
            seen.pulls.append(Pull(source=source, digests=(_digest(response.value),), at=None))
    elif kind == "GetXComSequenceItem" and hasattr(response, "root"):
        seen.pulls.append(Pull(source=source, digests=(_digest(response.root),), at=msg.offset))
    elif kind == "GetXComSequenceSlice" and response.root:
        at = slice(msg.start, msg.stop, msg.step)
        seen.pulls.append(Pull(source=source, digests=tuple(map(_digest, response.root)), at=at))


def _digest(value: Any) -> str:  # noqa: ANN401 - JSON, as Airflow has validated it
    return sha256_hex(canonical_json(value))
