"""What a log in a folder knows of itself: whose it is (``format.json``), and how far its tree is built (``tree.json``).

::

    {"created":"2026-01-31T12:00:00.000000Z","origin":"example.com/log","version":1,"vkey":"example.com/log+…"}
    {"boot":"4f2c…","journal":{"check":1,"offset":532,"segment":0},"root":"<base64>","size":3}

``format.json`` is written once and is durable. ``tree.json`` is a memory of the running machine, named by its boot id:
after a power failure neither it nor the files it speaks of need be whole, so it is believed only in the same boot.
"""

from dataclasses import dataclass
from datetime import datetime

from airflow_provider_atlas.encoding import (
    Fields,
    b64decode,
    b64encode,
    canonical_json,
    format_time,
    parse_canonical_json,
    parse_json,
)
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tlog.backends.posix_journal import Position
from airflow_provider_atlas.tlog.note import VerifierKey

VERSION = 1


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeState:
    """How far the tree is built: ``root`` (32 bytes) over the entries of the journal before ``position``.

    ``boot`` tells in which boot of which machine; without it, the state is not to be believed.
    """

    position: Position
    root: bytes
    boot: str | None

    @property
    def size(self) -> int:
        """The number of entries in the tree."""
        return self.position.size

    @classmethod
    def parse(cls, data: bytes) -> "TreeState":
        """Return the state in ``data``. Raises MalformedError when it is none."""
        fields = Fields(parse_json(data), "tree.json")
        journal = fields.fields("journal")
        size = fields.integer("size")
        position = Position(journal.integer("segment"), journal.integer("offset"), size, journal.integer("check"))
        state = cls(position=position, root=b64decode(fields.text("root")), boot=fields.optional("boot", fields.text))
        journal.end()
        fields.end()
        if min(position) < 0 or position.check >= 1 << 32:
            raise MalformedError("expected a place in the journal in tree.json")
        return state

    def to_bytes(self) -> bytes:
        """Return the state as JSON."""
        segment, offset, size, check = self.position
        journal = {"check": check, "offset": offset, "segment": segment}
        return canonical_json({"boot": self.boot, "journal": journal, "root": b64encode(self.root), "size": size})
