"""What a task's own code can say of its work that no declaration could: inputs, outputs and metrics.

::

    from airflow_provider_atlas.recording import record_input, record_metric, record_output

    @task
    def train(table):
        record_input(table)
        path = fit(table)
        record_output(path, kind="model")
        record_metric("accuracy", 0.93)

Outside an attested task (a unit test, ``mode = off``) these do nothing. Without Airflow, too: libraries may call
them.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from airflow_provider_atlas.errors import CaptureError


@dataclass(slots=True)
class Recording:
    """What was recorded so far in one task: URIs or paths as they were given, in order, and metrics.

    ``kinds`` maps an output to what its author calls it.
    """

    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, int | float] = field(default_factory=dict)


# One task's code runs in a process at a time, in as many threads as it likes; so this is the process's own, and not a
# context's, which a thread would not inherit.
_OPEN: list[Recording] = []


def record_input(uri: object) -> None:
    """Record that this task reads ``uri``: a URI, a path, an ``ObjectStoragePath`` or an Asset.

    Call it before the input is read: it is hashed when the task ends, so one that the task itself overwrites must be
    declared instead.
    """
    recording = _current()
    if recording is not None:
        recording.inputs.append(name_of(uri))


def record_output(uri: object, kind: str | None = None) -> None:
    """Record that this task wrote ``uri``: a URI, a path, an ``ObjectStoragePath`` or an Asset.

    It is hashed when the task ends. ``kind`` is what it is to people: ``model``, ``dataset``, ``report``.
    """
    recording = _current()
    if recording is not None:
        name = name_of(uri)
        recording.outputs.append(name)
        if kind is not None:
            recording.kinds[name] = kind


def record_metric(name: str, value: float) -> None:
    """Record a measurement of this task's result, such as an accuracy. The last value of a name counts.

    Raises CaptureError when ``value`` is no finite number: JSON could not spell it.
    """
    recording = _current()
    if recording is None:
        return
    number = value if isinstance(value, int) and not isinstance(value, bool) else float(value)
    try:
        finite = math.isfinite(number)
    except OverflowError:  # an integer that no double holds
        finite = False
    if not finite:
        raise CaptureError(f"expected metric {name!r} to be a finite number")
    recording.metrics[name] = number


def name_of(artifact: object) -> str:
    """Return the URI or path that names ``artifact``: its ``uri`` (an Asset), or what it is as text.

    Raises CaptureError for what is neither text nor path: guessing would attest something else.
    """
    uri = getattr(artifact, "uri", artifact)
    if isinstance(uri, str):
        return uri
    if hasattr(uri, "__fspath__") or hasattr(uri, "protocol"):
        return str(uri)
    raise CaptureError(f"expected a URI, a path, an ObjectStoragePath or an Asset, not {type(artifact).__name__}")


def _current() -> Recording | None:
    # One look: a thread that outlives its task must not fall between two.
    return next(reversed(_OPEN), None)


@contextmanager
def recording() -> Iterator[Recording]:
    """Collect what is recorded inside the ``with`` block: for the code around a task, not in it."""
    collected = Recording()
    _OPEN.append(collected)
    try:
        yield collected
    finally:
        _OPEN.pop()
