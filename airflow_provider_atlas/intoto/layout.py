r"""The layout of a run: what an unmodified ``in-toto-verify`` holds the links of that run against.

::

    {"_type": "layout", "expires": "2027-01-31T12:00:00Z", "inspect": [], "keys": {"84f7…": {…}},
     "readme": "{\"dag_id\":\"churn\",…}",
     "steps": [{"_type": "step", "name": "train[0]", "threshold": 1, "pubkeys": ["84f7…"], "expected_command": [],
                "expected_materials": [["REQUIRE", "atlas:run/prod/churn/2026-01-31"],
                                       ["MATCH", "*", "WITH", "PRODUCTS", "FROM", "split"],
                                       ["ALLOW", "atlas:run/prod/churn/2026-01-31"],
                                       ["ALLOW", "file:///data/[[]1].csv"], ["DISALLOW", "*"]],
                "expected_products": [["REQUIRE", "file:///models/0.bin"], ["CREATE", "file:///models/0.bin"],
                                      ["DISALLOW", "*"]]}]}

It lists the task instances that were executed, so it says what a run did, not what it was allowed to do: that is a
policy's part. in-toto compares neither the outcome of a step, nor the name in a link with that of its file, nor
notices a link it did not ask for; ``atlas verify`` does. See: in-toto specification 1.0 §4.3 (layout), §4.3.3 (rules).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_provider_atlas.encoding import JsonObject, canonical_json
from airflow_provider_atlas.errors import StatementError
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.intoto.pipeline import Pipeline
from airflow_provider_atlas.intoto.task_run import TaskRun

MAX_STEP_NAME = 200
"""The longest name of a step, in bytes: ``<name>.<keyid8>.link`` must fit the 255 that file systems keep."""

_NOTHING_ELSE = ["DISALLOW", "*"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep:
    """One executed task instance: its name in the layout, its link, and the key that signed it.

    ``name`` differs from ``link.name`` where a file system would not keep that; no two steps share one. ``keyid``
    is as securesystemslib computes it, ``pem`` the SubjectPublicKeyInfo, ``scheme`` in securesystemslib's words.
    """

    name: str
    link: Link
    keyid: str
    pem: str
    scheme: str

    @property
    def file_name(self) -> str:
        """The name under which ``in-toto-verify`` looks for the link."""
        return f"{self.name}.{self.keyid[:8]}.link"


def run_layout(pipeline: Pipeline, steps: Sequence[RunStep], *, expires: datetime) -> bytes:
    """Return the payload of the layout that ``steps`` satisfy, in the order of ``pipeline``; valid until ``expires``.

    Raises StatementError when the steps are not of one run of that pipeline, or share a name.
    """
    # 0.2 s to import, and only an export needs them.
    from in_toto.models.layout import Layout, Step
    from in_toto.models.metadata import Envelope

    ordered = _in_order(pipeline, steps)
    layout = Layout(
        steps=[
            Step(
                name=step.name,
                pubkeys=[step.keyid],
                expected_materials=_material_rules(step.link, _ancestors(pipeline, ordered, step)),
                expected_products=_product_rules(step.link),
            )
            for step in ordered
        ],
        keys={step.keyid: _key_object(step) for step in ordered},
        expires=expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        readme=_readme(ordered),
    )
    return bytes(Envelope.from_signable(layout).payload)


def escaped(name: str) -> str:
    """Return the pattern that matches ``name`` and nothing else, as in-toto (``fnmatch``) reads patterns.

    >>> escaped("s3://raw/in[1]?.csv")
    's3://raw/in[[]1][?].csv'
    """
    return "".join(f"[{character}]" if character in "[*?" else character for character in name)


def _in_order(pipeline: Pipeline, steps: Sequence[RunStep]) -> list[RunStep]:
    position = {task_id: index for index, task_id in enumerate(pipeline.order())}
    runs = {(run.deployment, run.dag_id, run.run_id) for run in map(_run, steps)}
    if len(runs) != 1 or any(_run(step).task_id not in position for step in steps):
        raise StatementError("expected links of one run, each of a task of its pipeline")
    if (
        len({step.name for step in steps}) != len(steps)
        or max(len(step.name.encode()) for step in steps) > MAX_STEP_NAME
    ):
        raise StatementError(f"expected names of steps once each, of at most {MAX_STEP_NAME} bytes")
    return sorted(steps, key=lambda step: (position[_run(step).task_id], _run(step).map_index))


def _ancestors(pipeline: Pipeline, steps: Sequence[RunStep], step: RunStep) -> list[RunStep]:
    before = pipeline.ancestors(_run(step).task_id)
    return [other for other in steps if _run(other).task_id in before]


def _material_rules(link: Link, ancestors: Sequence[RunStep]) -> list[list[str]]:
    run, _ = link.environment.run.material
    producers = [ancestor for ancestor in ancestors if ancestor.link.products.keys() & link.materials.keys()]
    produced = {uri for producer in producers for uri in producer.link.products}
    # What a task before this one produced is matched or refused; only what came from outside is let through by name.
    external = sorted(uri for uri in link.materials if uri not in produced and uri != run)
    return [
        ["REQUIRE", run],
        *(["MATCH", "*", "WITH", "PRODUCTS", "FROM", producer.name] for producer in producers),
        ["ALLOW", escaped(run)],
        *(["ALLOW", escaped(uri)] for uri in external),
        _NOTHING_ELSE,
    ]


def _product_rules(link: Link) -> list[list[str]]:
    products = sorted(link.products)
    return [
        *(["REQUIRE", uri] for uri in products),
        *([_change(link, uri), escaped(uri)] for uri in products),
        _NOTHING_ELSE,
    ]


def _change(link: Link, uri: str) -> str:
    if uri not in link.materials:
        return "CREATE"
    return "ALLOW" if link.materials[uri] == link.products[uri] else "MODIFY"


def _key_object(step: RunStep) -> Mapping[str, object]:
    return {"keyid": step.keyid, "keytype": "ecdsa", "scheme": step.scheme, "keyval": {"public": step.pem}}


def _readme(steps: Sequence[RunStep]) -> str:
    run = _run(steps[0])
    table: JsonObject = {
        "deployment": run.deployment,
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "steps": [_row(step) for step in steps],
    }
    return canonical_json(table).decode("utf-8")


def _row(step: RunStep) -> JsonObject:
    run = _run(step)
    return {
        "name": step.name,
        "task_id": run.task_id,
        "map_index": run.map_index,
        "try_number": run.try_number,
        "state": step.link.outcome.state,
    }


def _run(step: RunStep) -> TaskRun:
    return step.link.environment.run
