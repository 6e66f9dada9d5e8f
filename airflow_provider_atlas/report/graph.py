"""The pipeline as a drawing: tasks in layers from left to right, each after all that it builds on.

Sugiyama's method in its simplest form: layers by longest path, a bend for every layer that an edge passes, order by
barycentres. A function of the report: the same drawing for the same records.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from airflow_provider_atlas.report.summary import STATUSES, worst_by_subject
from airflow_provider_atlas.verify.report import RecordResult, Status, VerificationReport
from airflow_provider_atlas.verify.run_checks import ENDED_WELL

NODE_WIDTH = 184
NODE_HEIGHT = 56
_LAYER_GAP = 48
_GAP = 20
_MARGIN = 6
_BEND_HEIGHT = 8
_HEAD = 5
_SWEEPS = 6
_MOST_SLOTS = 3000
"""Tasks and bends beyond which a drawing helps nobody, and laying it out takes seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One task: ``status`` is the worst answer about any record of it, or None when it has no record at all.

    ``ended_well`` is about the task, and not about its records: a failure can be told with full evidence.
    """

    name: str
    note: str
    status: Status | None
    ended_well: bool
    x: int
    y: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A drawing in user units: nodes by their upper left corner, edges as SVG path data."""

    width: int
    height: int
    nodes: Sequence[Node]
    edges: Sequence[str]
    description: str


@dataclass(frozen=True, slots=True)
class _Bend:
    """Where an edge passes a layer that neither of its ends is in."""

    upstream: str
    downstream: str
    layer: int


_Slot = str | _Bend
_Edge = tuple[str, str]


def draw(report: VerificationReport) -> Graph | None:
    """Return the drawing of the tasks that ``report`` has records of, or None when there is none or too much."""
    edges = _edges(report.records)
    names = {_task(record.step) for record in report.records} | {name for edge in edges for name in edge}
    layer = _layers(names, edges)
    if not names or len(names) + sum(max(layer[down] - layer[up] - 1, 0) for up, down in edges) > _MOST_SLOTS:
        return None
    routes = {edge: _route(edge, layer) for edge in edges}
    columns = _ordered(_columns(names, layer, routes.values()), routes.values())
    places = _places(columns)
    height = max(y + _height(slot) for slot, (_, y) in places.items()) + _MARGIN
    return Graph(
        width=_x(len(columns) - 1) + NODE_WIDTH + _MARGIN,
        height=height,
        nodes=_nodes(report, sorted(names), places),
        edges=[_path([places[slot] for slot in routes[edge]], routes[edge]) for edge in edges],
        description="; ".join(f"{up} before {down}" for up, down in edges) or "no task builds on another",
    )


def _task(step: str) -> str:
    return step.partition("[")[0]


def _edges(records: Sequence[RecordResult]) -> Sequence[_Edge]:
    # An upstream is named by its record or by its step; either way by its task, since instances are drawn as one.
    steps = {record.subject: record.step for record in records}
    pairs = {(_task(steps.get(name, name)), _task(record.step)) for record in records for name in record.upstream}
    return sorted((up, down) for up, down in pairs if up != down)


def _layers(names: Iterable[str], edges: Sequence[_Edge]) -> Mapping[str, int]:
    before: dict[str, set[str]] = {name: set() for name in names}
    for up, down in edges:
        before[down].add(up)
    layer: dict[str, int] = {}
    for name in _topological(before):
        layer[name] = max((layer[up] + 1 for up in before[name] if up in layer), default=0)
    return layer


def _topological(before: Mapping[str, set[str]]) -> Sequence[str]:
    # Records that wait for one another are a lie, which the checks tell; the drawing only has to survive it.
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError:
        return sorted(before)


def _route(edge: _Edge, layer: Mapping[str, int]) -> Sequence[_Slot]:
    up, down = edge
    return [up, *(_Bend(up, down, passed) for passed in range(layer[up] + 1, layer[down])), down]


def _columns(
    names: Iterable[str], layer: Mapping[str, int], routes: Iterable[Sequence[_Slot]]
) -> Sequence[list[_Slot]]:
    columns: list[list[_Slot]] = [[] for _ in range(max(layer.values()) + 1)]
    for name in sorted(names):
        columns[layer[name]].append(name)
    for route in routes:
        for slot in route:
            if isinstance(slot, _Bend):
                columns[slot.layer].append(slot)
    return columns


def _ordered(columns: Sequence[list[_Slot]], routes: Iterable[Sequence[_Slot]]) -> Sequence[list[_Slot]]:
    left: dict[_Slot, list[_Slot]] = {}
    right: dict[_Slot, list[_Slot]] = {}
    for route in routes:
        for up, down in pairwise(route):
            left.setdefault(down, []).append(up)
            right.setdefault(up, []).append(down)
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        for column, fixed in _neighbours(columns, forth):
            _sort_by_barycentre(column, fixed, left if forth else right)
    return columns


def _neighbours(columns: Sequence[list[_Slot]], forth: bool) -> Iterable[tuple[list[_Slot], list[_Slot]]]:
    walked = list(columns) if forth else list(reversed(columns))
    return [(column, fixed) for fixed, column in pairwise(walked)]


def _sort_by_barycentre(column: list[_Slot], fixed: Sequence[_Slot], links: Mapping[_Slot, Sequence[_Slot]]) -> None:
    position = {slot: (index + 0.5) / len(fixed) for index, slot in enumerate(fixed)}
    wanted = {}
    for index, slot in enumerate(column):
        near = [position[other] for other in links.get(slot, ()) if other in position]
        wanted[slot] = sum(near) / len(near) if near else (index + 0.5) / len(column)
    column.sort(key=lambda slot: wanted[slot])


def _places(columns: Sequence[Sequence[_Slot]]) -> Mapping[_Slot, tuple[int, int]]:
    heights = [sum(_height(slot) for slot in column) + _GAP * (len(column) - 1) for column in columns]
    places: dict[_Slot, tuple[int, int]] = {}
    for number, (column, height) in enumerate(zip(columns, heights, strict=True)):
        y = _MARGIN + (max(heights) - height) // 2
        for slot in column:
            places[slot] = (_x(number), y)
            y += _height(slot) + _GAP
    return places


def _x(layer: int) -> int:
    return _MARGIN + layer * (NODE_WIDTH + _LAYER_GAP)


def _height(slot: _Slot) -> int:
    return _BEND_HEIGHT if isinstance(slot, _Bend) else NODE_HEIGHT


def _path(corners: Sequence[tuple[int, int]], route: Sequence[_Slot]) -> str:
    (x, y), *rest = [(x, y + _height(slot) // 2) for (x, y), slot in zip(corners, route, strict=True)]
    x += NODE_WIDTH
    parts = [f"M{x} {y}"]
    for next_x, next_y in rest:
        middle = (x + next_x) // 2
        parts.append(f"C{middle} {y} {middle} {next_y} {next_x} {next_y}H{next_x + NODE_WIDTH}")
        x, y = next_x + NODE_WIDTH, next_y
    # The last bend ends at the node, short of the arrow's head.
    return "".join(parts).removesuffix(f"{x - NODE_WIDTH} {y}H{x}") + f"{x - NODE_WIDTH - _HEAD} {y}"


def _nodes(report: VerificationReport, names: Iterable[str], places: Mapping[_Slot, tuple[int, int]]) -> Sequence[Node]:
    worst = worst_by_subject(report.checks)
    records: dict[str, list[RecordResult]] = {}
    for record in report.records:
        records.setdefault(_task(record.step), []).append(record)
    return [_node(name, records.get(name, []), worst, places[name]) for name in names]


def _node(name: str, records: Sequence[RecordResult], worst: Mapping[str, Status], place: tuple[int, int]) -> Node:
    last = {record.step: record for record in sorted(records, key=lambda record: record.try_number)}
    known = [worst[record.subject] for record in records if record.subject in worst]
    return Node(
        name=name,
        note=_note(list(last.values())),
        status=min(known, key=STATUSES.index, default=None),
        ended_well=all(record.state in ENDED_WELL for record in last.values()),
        x=place[0],
        y=place[1],
    )


def _note(last: Sequence[RecordResult]) -> str:
    if not last:
        return "no record"
    states = Counter(record.state for record in last)
    tries = max(record.try_number for record in last)
    if len(states) == 1:
        ended = f"{len(last)} × {last[0].state}" if len(last) > 1 else last[0].state
    else:
        ended = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return f"{ended}, {tries} tries" if tries > 1 else ended
