"""A log checkpoint seen before the work began.

Nobody can know its root earlier than the log signed it, so whatever commits to it was made after.
"""

from dataclasses import dataclass

from airflow_provider_atlas.encoding import Fields, Json, JsonObject, parse_hex
from airflow_provider_atlas.errors import MalformedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Beacon:
    """The origin, size and root (32 bytes) of that checkpoint."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, value: Json) -> "Beacon":
        """Return the beacon that ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "the beacon")
        beacon = cls(origin=fields.text("origin"), size=fields.integer("size"), root=parse_hex(fields.text("root"), 32))
        fields.end()
        if beacon.size < 0:
            raise MalformedError("expected the beacon's size not to be negative")
        return beacon

    def to_json(self) -> JsonObject:
        """Return the JSON object of this beacon."""
        return {"origin": self.origin, "size": self.size, "root": self.root.hex()}
