r"""What a log in a folder knows of how far its tree is built (``tree.json``).

::

    {"boot":"4f2c…","bundle":"9f86…","journal":{"check":1,"offset":532,"segment":0},"signed":"example.com/log\n3\n…","sum":99}

It is a memory of the running machine, named by its boot id:
after a power failure neither it nor the files it speaks of need be whole, so it is believed only in the same boot. It
is written over in place, padded to one page unless witnesses signed much, so its ``sum`` (CRC-32 of what is before it)
tells a reader who came too early.
"""

import zlib
from dataclasses import dataclass

from airflow_provider_atlas.encoding import Fields, JsonObject, canonical_json, parse_hex, parse_json
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.merkle import EMPTY_ROOT
from airflow_provider_atlas.tlog.backends.posix_journal import Position
from airflow_provider_atlas.tlog.checkpoint import SignedCheckpoint

_PAGE = 4096
_SUM = b',"sum":'


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeState:
    """How far the tree is built: over the entries of the journal before ``position``, which ``signed`` covers.

    ``signed`` is the last checkpoint that the log signed, None as long as it is empty. ``boot`` tells in which boot of
    which machine this was so: in another, it is not to be believed. ``bundle`` is the SHA-256 of the partial bundle, as
    it was written: one that is still the same needs no look at the entries in it.
    """

    position: Position
    signed: SignedCheckpoint | None
    boot: str
    bundle: bytes = bytes(32)

    @property
    def size(self) -> int:
        """The number of entries in the tree."""
        return self.position.size

    @property
    def root(self) -> bytes:
        """The root of the tree, 32 bytes."""
        return self.signed.checkpoint.root if self.signed else EMPTY_ROOT

    @classmethod
    def parse(cls, data: bytes) -> "TreeState":
        """Return the state in ``data``. Raises MalformedError when it is none, or is torn."""
        content, _, check = data.rstrip(b"\n").removesuffix(b"}").rpartition(_SUM)
        if check != b"%d" % zlib.crc32(content):
            raise MalformedError("expected tree.json to be whole")
        fields = Fields(parse_json(content + b"}"), "tree.json")
        boot, note = fields.text("boot"), fields.optional("signed", fields.text)
        signed = SignedCheckpoint.parse(note.encode()) if note else None
        journal = fields.fields("journal")
        position = Position(
            segment=journal.integer("segment"),
            offset=journal.integer("offset"),
            size=signed.checkpoint.size if signed else 0,
            check=journal.integer("check"),
        )
        return cls(position=position, signed=signed, boot=boot, bundle=parse_hex(fields.text("bundle"), 32))

    def to_bytes(self) -> bytes:
        """Return the state as JSON, padded to a page, or to as many as it needs."""
        content = canonical_json(self._fields()).removesuffix(b"}")
        return (content + _SUM + b"%d}" % zlib.crc32(content)).ljust(_PAGE, b"\n")

    def _fields(self) -> JsonObject:
        segment, offset, _, check = self.position
        note = self.signed.note.to_bytes().decode() if self.signed else None
        journal = {"check": check, "offset": offset, "segment": segment}
        return {"boot": self.boot, "bundle": self.bundle.hex(), "journal": journal, "signed": note}
