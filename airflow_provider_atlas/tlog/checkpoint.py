"""A checkpoint: what a log says of itself at one size. It is the text of a signed note.

::

    example.com/behind-the-sofa
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

See: https://c2sp.org/tlog-checkpoint (v1.0.0).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from airflow_provider_atlas.encoding import b64decode, b64encode, parse_decimal
from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tlog.note import SignedNote, VerifierKey, verify

MAX_SIZE = 2**63 - 1
"""The largest tree that is spoken of: what fits the signed 64-bit integers of other implementations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The ``root`` (32 bytes) of the tree of ``size`` entries of the log ``origin``.

    ``extensions`` are lines that other logs add; ours has none, as the specification recommends.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Return the checkpoint that ``text``, the text of a note, spells. Raises MalformedError when it does not."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines):
            raise MalformedError("expected a checkpoint: an origin, a size and a root, each on its line")
        origin, size, root, *extensions = lines
        checkpoint = cls(origin=origin, size=parse_decimal(size), root=b64decode(root), extensions=tuple(extensions))
        if checkpoint.size > MAX_SIZE or len(checkpoint.root) != 32:
            raise MalformedError("expected a checkpoint with a size below 2^63 and a SHA-256 root")
        return checkpoint

    def to_text(self) -> str:
        """Return the checkpoint in its one spelling, which is what a log signs."""
        lines = (self.origin, str(self.size), b64encode(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


class SignedCheckpoint(NamedTuple):
    """A checkpoint, and the note that it was read from."""

    checkpoint: Checkpoint
    note: SignedNote

    @classmethod
    def parse(cls, data: bytes) -> "SignedCheckpoint":
        """Return the checkpoint in the note ``data``, not to be believed before ``verify``. Raises MalformedError."""
        note = SignedNote.parse(data)
        return cls(Checkpoint.parse(note.text), note)

    def verify(self, origin: str, keys: Iterable[VerifierKey]) -> Checkpoint:
        """Return the checkpoint, as ``verify_checkpoint`` does."""
        return verify_checkpoint(self.note, origin, keys)


def verify_checkpoint(note: SignedNote, origin: str, keys: Iterable[VerifierKey]) -> Checkpoint:
    """Return the checkpoint in ``note``, when it is one of the log ``origin`` and one of ``keys`` signed it.

    Raises SignatureError when it is not, and MalformedError when the note holds no checkpoint.
    """
    verify(note, keys)
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != origin:
        raise SignatureError(f"expected a checkpoint of the log {origin}")
    return checkpoint
