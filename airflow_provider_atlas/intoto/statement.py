"""An in-toto Statement v1: what is claimed (predicate) of which things (subjects).

::

    {"_type": "https://in-toto.io/Statement/v1", "predicateType": "…", "predicate": {…},
     "subject": [{"name": "file:///models/m.bin", "digest": {"sha256": "…"}}]}

See: in-toto Attestation Framework, spec/v1/statement.md. The payload is canonical JSON (RFC 8785).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_atlas.encoding import Fields, Json, JsonObject, canonical_json, parse_json
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.intoto.environment import sha256_digest_set

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
"""The ``_type`` of a statement."""

PAYLOAD_TYPE = "application/vnd.in-toto+json"
"""The DSSE payload type of links and statements alike, as in-toto has it."""

NAMESPACE = "https://airflow-provider-atlas.readthedocs.io/v1/"
"""The prefix of our own predicate types and builder ids: identifiers, compared and never fetched."""

MAX_STATEMENT_SIZE = 16 << 20
"""The largest statement payload that is read, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A thing, by name and SHA-256 (hex)."""

    name: str
    sha256: str

    @classmethod
    def parse(cls, value: Json) -> "Subject":
        """Return the subject that ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "a subject")
        subject = cls(name=fields.text("name"), sha256=fields.sha256("digest"))
        fields.end()
        return subject

    def to_json(self) -> JsonObject:
        """Return the JSON object of this subject, a resource descriptor."""
        return {"name": self.name, "digest": sha256_digest_set(self.sha256)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A predicate of a type, about one subject or more. ``predicate`` is plain JSON: its type says how to read it."""

    subjects: Sequence[Subject]
    predicate_type: str
    predicate: JsonObject

    @classmethod
    def parse(cls, payload: bytes) -> "Statement":
        """Return the statement in ``payload``. Raises MalformedError when it is not one, in its one spelling."""
        if len(payload) > MAX_STATEMENT_SIZE:
            raise MalformedError(f"expected a statement of at most {MAX_STATEMENT_SIZE} bytes")
        fields = Fields(parse_json(payload), "the statement")
        fields.one_of("_type", STATEMENT_TYPE)
        statement = cls(
            subjects=tuple(map(Subject.parse, fields.items("subject"))),
            predicate_type=fields.text("predicateType"),
            predicate=fields.object("predicate"),
        )
        fields.end()
        if not statement.subjects or statement.to_bytes() != payload:
            raise MalformedError("expected a statement with a subject, in its one spelling, canonical JSON")
        return statement

    def to_bytes(self) -> bytes:
        """Return the payload: canonical JSON."""
        return canonical_json(
            {
                "_type": STATEMENT_TYPE,
                "subject": [subject.to_json() for subject in self.subjects],
                "predicateType": self.predicate_type,
                "predicate": self.predicate,
            }
        )
