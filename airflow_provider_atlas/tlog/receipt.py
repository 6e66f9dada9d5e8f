"""A receipt: the proof that an entry is in a log, which anyone can check offline.

::

    c2sp.org/tlog-proof@v1
    index 73894
    gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
    B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=

    example.com/fancylog
    109482
    sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

    — example.com/fancylog hI2DJw…

See: https://c2sp.org/tlog-proof. Files of it are named ``*.tlog-proof``.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_atlas import merkle
from airflow_provider_atlas.encoding import b64decode, b64encode, parse_decimal
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tlog.checkpoint import MAX_SIZE, Checkpoint, verify_checkpoint
from airflow_provider_atlas.tlog.note import MAX_NOTE_BYTES, SignedNote, VerifierKey

_MAGIC = "c2sp.org/tlog-proof@v1"
_MAX_HASHES = 63  # the height of a tree of 2^63 leaves
_MAX_EXTRA_BYTES = 65_536
_MAX_HEAD_BYTES = 100 + 2 * _MAX_EXTRA_BYTES + 45 * _MAX_HASHES


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """That the entry ``index`` is in the tree of the checkpoint in ``note``, by the inclusion proof ``hashes``.

    ``extra`` is application data that nothing signs; ours has none. Nothing here is to be believed before ``check``.
    """

    index: int
    hashes: tuple[bytes, ...]
    note: SignedNote
    extra: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> "Receipt":
        """Return the receipt in ``data``. Raises MalformedError when it is none, or is larger than the limits."""
        end = data.find(b"\n\n", 0, _MAX_HEAD_BYTES)
        if end < 0 or len(data) - end > MAX_NOTE_BYTES + 2:
            raise MalformedError("expected a tlog-proof: a head, an empty line and a checkpoint")
        note = SignedNote.parse(data[end + 2 :])
        Checkpoint.parse(note.text)
        index, hashes, extra = _parse_head(data[:end])
        return cls(index=index, hashes=hashes, note=note, extra=extra)

    def to_bytes(self) -> bytes:
        """Return the receipt in its one spelling."""
        extra = [f"extra {b64encode(self.extra)}"] if self.extra else []
        lines = [_MAGIC, *extra, f"index {self.index}", *map(b64encode, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.note.to_bytes()

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint that the receipt claims; ``check`` returns it when it is to be believed."""
        return Checkpoint.parse(self.note.text)

    def check(self, entry: bytes, origin: str, keys: Iterable[VerifierKey]) -> Checkpoint:
        """Return the checkpoint of the log ``origin``, signed by one of ``keys``, whose tree holds ``entry``.

        Raises SignatureError when the checkpoint is not one of that log and those keys, and InclusionError when the
        proof does not lead from ``entry`` to it.
        """
        verify_checkpoint(self.note, origin, keys)
        return self.check_leaf(merkle.leaf_hash(entry))

    def check_leaf(self, leaf: bytes) -> Checkpoint:
        """Return the checkpoint, when its tree holds the leaf hash ``leaf``; who signed it is not looked at.

        Raises InclusionError when the proof does not lead there, and MalformedError when the note is no checkpoint.
        """
        checkpoint = self.checkpoint
        merkle.check_inclusion(self.index, checkpoint.size, leaf, self.hashes, checkpoint.root)
        return checkpoint


def _parse_head(head: bytes) -> tuple[int, tuple[bytes, ...], bytes]:
    try:
        magic, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise MalformedError("expected the head of a tlog-proof in ASCII") from error
    if magic != _MAGIC:
        raise MalformedError(f"expected a tlog-proof to begin with {_MAGIC}")
    extra = _parse_extra(lines.pop(0)) if lines and lines[0].startswith("extra ") else b""
    if not lines or not lines[0].startswith("index "):
        raise MalformedError("expected a tlog-proof to name an index")
    index, hashes = parse_decimal(lines[0].removeprefix("index ")), tuple(map(b64decode, lines[1:]))
    if index > MAX_SIZE or len(hashes) > _MAX_HASHES or any(len(digest) != 32 for digest in hashes):
        raise MalformedError(f"expected a tlog-proof of at most {_MAX_HASHES} SHA-256 hashes")
    return index, hashes, extra


def _parse_extra(line: str) -> bytes:
    extra = b64decode(line.removeprefix("extra "))
    if not 0 < len(extra) <= _MAX_EXTRA_BYTES:
        raise MalformedError(f"expected the extra data of a tlog-proof to have 1 to {_MAX_EXTRA_BYTES} bytes")
    return extra
