"""What a worker and the attestation helper of its machine say to each other, over a Unix socket.

The worker sends 64 bytes of report data and ends its side; the helper answers with one JSON document and ends its own::

    {"evidence": {"tee": "tdx", "provider": "tsm", "mediaType": "…", "quote": "BAAC…", "endorsements": […]}, "v": 1}
    {"problem": {"again": false, "detail": "…"}, "v": 1}

Canonical JSON (RFC 8785). ``again`` tells that the same request may well succeed a little later.
"""

from dataclasses import dataclass

from airflow_provider_atlas.encoding import Fields, JsonObject, canonical_json, parse_json
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.evidence import Evidence

REQUEST_SIZE = 64
"""The bytes of a request: the report data."""

MAX_ANSWER_SIZE = 8 << 20
"""The largest answer that is read, in bytes."""

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why there is no evidence; ``again`` when it is worth asking again."""

    detail: str
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The helper's answer: evidence, or the problem that there is none."""

    content: Evidence | Problem

    @classmethod
    def parse(cls, data: bytes) -> "Answer":
        """Return the answer in ``data``. Raises MalformedError when it is none, in its one spelling."""
        if len(data) > MAX_ANSWER_SIZE:
            raise MalformedError(f"expected an answer of at most {MAX_ANSWER_SIZE} bytes")
        value = parse_json(data)
        fields = Fields(value, "the answer")
        if fields.integer("v") != _VERSION:
            raise MalformedError(f"expected an answer of version {_VERSION}")
        answer = cls(content=_problem(fields) if isinstance(value, dict) and "problem" in value else _evidence(fields))
        fields.end()
        if answer.to_bytes() != data:
            raise MalformedError("expected the answer in its one spelling, canonical JSON")
        return answer

    def to_bytes(self) -> bytes:
        """Return this answer in canonical JSON."""
        if isinstance(self.content, Problem):
            problem: JsonObject = {"detail": self.content.detail, "again": self.content.again}
            return canonical_json({"v": _VERSION, "problem": problem})
        return canonical_json({"v": _VERSION, "evidence": self.content.to_json()})


def _problem(fields: Fields) -> Problem:
    members = fields.fields("problem")
    problem = Problem(detail=members.text("detail"), again=members.boolean("again"))
    members.end()
    return problem


def _evidence(fields: Fields) -> Evidence:
    members = fields.fields("evidence")
    evidence = Evidence.take(members)
    members.end()
    return evidence
