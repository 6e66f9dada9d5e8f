"""Whose log it is: what a log says of itself once, when it is made (``format.json``).

::

    {"created":"2026-01-31T12:00:00.000000Z","origin":"example.com/log","version":1,"vkey":"example.com/log+…"}
"""

from dataclasses import dataclass
from datetime import datetime

from airflow_provider_atlas.encoding import Fields, canonical_json, format_time, parse_canonical_json
from airflow_provider_atlas.errors import ConfigError, MalformedError
from airflow_provider_atlas.tlog.note import VerifierKey

VERSION = 1
"""The version of the formats of a log that this package writes and reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """Whose log it is: the origin and key of its checkpoints, and when it was made."""

    origin: str
    key: VerifierKey
    created: datetime

    @classmethod
    def parse(cls, data: bytes) -> "Format":
        """Return the format in ``data``. Raises MalformedError when it is none, or is of another version."""
        fields = Fields(parse_canonical_json(data), "format.json")
        if fields.integer("version") != VERSION:
            raise MalformedError(f"expected version {VERSION} of the format of a log")
        key = VerifierKey.parse(fields.text("vkey"))
        found = cls(origin=fields.text("origin"), key=key, created=fields.time("created"))
        fields.end()
        return found

    def to_bytes(self) -> bytes:
        """Return the format in its one spelling, canonical JSON."""
        created = format_time(self.created)
        return canonical_json(
            {"created": created, "origin": self.origin, "version": VERSION, "vkey": str(self.key)},
        )

    def check(self, key: VerifierKey, place: str) -> None:
        """Check that the log at ``place`` is that of ``key`` and its name. Raises ConfigError when it is not."""
        if self.origin != key.name:
            raise ConfigError(f"{place} holds the log {self.origin}, not {key.name}: name its origin, or another place")
        if self.key != key:
            raise ConfigError(
                f"{place} holds a log that another key signs: use the key of {self.key}, or another place"
            )
