"""The primary record of a task: a classic in-toto link, so that an unmodified ``in-toto-verify`` reads it.

::

    {"_type": "link", "name": "train[0]", "command": [],
     "materials": {"file:///data/x.csv": {"sha256": "…"}, "atlas:run/prod/churn/2026-01-31": {"sha256": "…"}},
     "products": {"file:///models/m.bin": {"sha256": "…"}},
     "byproducts": {"return-value": 0, "state": "success", "error": null, "metrics": {"accuracy": "0.93"},
                    "kinds": {}, "xcoms": {"pulled": {}, "pushed": {}}},
     "environment": {"atlas": 1, …}}

See: in-toto specification 1.0 §4.4 (link); ``docs/format.md`` §3. The payload is canonical JSON (RFC 8785).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_atlas.encoding import Fields, Json, JsonObject, canonical_json, parse_json
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.intoto.environment import Environment, sha256_digest_set

MAX_LINK_SIZE = 16 << 20
"""The largest link payload that is read, in bytes."""

RUN_SCHEME = "atlas:run/"
"""The prefix of the one material that is no artifact: see ``task_run.run_material``."""

_MAX_EXACT = 2**53 - 1

STATES = ("success", "failed", "skipped", "up_for_retry")
"""How a try can end, in Airflow's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a try ended, and what it left beside artifacts.

    ``error`` is the exception's type, never its message, which may hold anything. ``metrics`` are finite numbers;
    they travel as text, since in-toto 3.1 refuses every link that holds a fraction (OLPC canonical JSON has none).
    ``kinds`` maps a product to what its author calls it (``model``).
    ``pulled`` maps an XCom, ``step/key``, and ``pushed`` a key, to the SHA-256 (hex) of its canonical JSON as it
    went over the wire.
    """

    state: str
    error: str | None
    metrics: Mapping[str, int | float]
    kinds: Mapping[str, str]
    pulled: Mapping[str, str]
    pushed: Mapping[str, str]

    @classmethod
    def parse(cls, value: Json) -> "Outcome":
        """Return the outcome that ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "the byproducts")
        state = fields.one_of("state", *STATES)
        if fields.integer("return-value") != _return_value(state):
            raise MalformedError("expected return-value 0 for success and skipped, 1 otherwise")
        xcoms = fields.fields("xcoms")
        outcome = cls(
            state=state,
            error=fields.optional("error", fields.text),
            metrics=_parse_metrics(fields.object("metrics")),
            kinds=_parse_kinds(fields.object("kinds")),
            pulled=_parse_digests(xcoms.object("pulled"), "the pulled XComs"),
            pushed=_parse_digests(xcoms.object("pushed"), "the pushed XComs"),
        )
        xcoms.end()
        fields.end()
        return outcome

    def to_json(self) -> JsonObject:
        """Return the JSON object of this outcome: a link's ``byproducts``."""
        return {
            "return-value": _return_value(self.state),
            "state": self.state,
            "error": self.error,
            "metrics": {name: _spelled(number) for name, number in self.metrics.items()},
            "kinds": dict(self.kinds),
            "xcoms": {"pulled": _digest_sets(self.pulled), "pushed": _digest_sets(self.pushed)},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What one try of a task consumed and produced. Materials and products map a URI to a SHA-256 in hex."""

    materials: Mapping[str, str]
    products: Mapping[str, str]
    outcome: Outcome
    environment: Environment

    @property
    def name(self) -> str:
        """The in-toto step that this is a link of."""
        return self.environment.run.step

    @property
    def inputs(self) -> Mapping[str, str]:
        """The materials that are artifacts: all but the one that stands for the run."""
        return {uri: digest for uri, digest in self.materials.items() if not uri.startswith(RUN_SCHEME)}

    @classmethod
    def parse(cls, payload: bytes) -> "Link":
        """Return the link in ``payload``. Raises MalformedError when it is not one, in its one spelling."""
        if len(payload) > MAX_LINK_SIZE:
            raise MalformedError(f"expected a link of at most {MAX_LINK_SIZE} bytes")
        fields = Fields(parse_json(payload), "the link")
        fields.one_of("_type", "link")
        name = fields.text("name")
        link = cls(
            materials=_parse_digests(fields.object("materials"), "the materials"),
            products=_parse_digests(fields.object("products"), "the products"),
            outcome=Outcome.parse(fields.object("byproducts")),
            environment=Environment.parse(fields.object("environment")),
        )
        if fields.items("command") or name != link.name:
            raise MalformedError("expected no command, and the name of the step in the environment")
        fields.end()
        if link.to_bytes() != payload:
            raise MalformedError("expected the link in its one spelling, canonical JSON")
        return link

    def to_bytes(self) -> bytes:
        """Return the payload: canonical JSON."""
        return canonical_json(
            {
                "_type": "link",
                "name": self.name,
                "command": [],
                "materials": _digest_sets(self.materials),
                "products": _digest_sets(self.products),
                "byproducts": self.outcome.to_json(),
                "environment": self.environment.to_json(),
            }
        )


def _return_value(state: str) -> int:
    return 0 if state in ("success", "skipped") else 1


def _digest_sets(digests: Mapping[str, str]) -> JsonObject:
    return {name: sha256_digest_set(digest) for name, digest in digests.items()}


def _parse_digests(value: JsonObject, what: str) -> Mapping[str, str]:
    fields = Fields(value, what)
    return {name: fields.sha256(name) for name in value}


def _parse_metrics(value: JsonObject) -> Mapping[str, int | float]:
    fields = Fields(value, "the metrics")
    return {name: _parse_number(fields.text(name), name) for name in value}


def _parse_number(text: str, name: str) -> int | float:
    value = parse_json(text.encode("utf-8", "surrogatepass"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedError(f"expected metric {name!r} to be a number")
    number = _exact(value)
    if _spelled(number) != text:
        raise MalformedError(f"expected metric {name!r} in its one spelling")
    return number


def _spelled(number: float) -> str:
    return canonical_json(_exact(number)).decode("ascii")


def _exact(number: float) -> float:
    # Canonical JSON knows doubles alone, and spells those beyond 2^53 without a point, as if they were integers.
    try:
        return number if abs(number) <= _MAX_EXACT else float(number)
    except OverflowError as error:
        raise MalformedError("expected a metric that a double can hold") from error


def _parse_kinds(value: JsonObject) -> Mapping[str, str]:
    fields = Fields(value, "the kinds of the products")
    return {name: fields.text(name) for name in value}
