"""What a log and a witness say to each other: a checkpoint with a proof, and a cosignature or a refusal.

::

    old 20852014
    PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
    jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=

    example.com/behind-the-sofa
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE…

See: https://c2sp.org/tlog-witness (v1.0.0).
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airflow_provider_atlas.encoding import b64decode, b64encode, parse_decimal
from airflow_provider_atlas.errors import ConsistencyError, LogError, MalformedError, SignatureError
from airflow_provider_atlas.tlog import merkle
from airflow_provider_atlas.tlog.checkpoint import MAX_SIZE, Checkpoint, verify_checkpoint
from airflow_provider_atlas.tlog.note import MAX_SIGNATURES, NoteSignature, SignedNote, VerifierKey

MAX_REQUEST_BYTES = 1 << 17
"""The largest request that a witness looks at."""

SIZE_TYPE = "text/x.tlog.size"
"""The media type of the size that a witness answers with when it knows another one than it was told."""

Proof = Callable[[int], Sequence[bytes]]
"""``proof(old)``: the consistency proof from the tree of ``old`` entries to the one at hand."""

Cosign = Callable[[SignedNote, SignedNote | None, Proof], SignedNote]
"""``cosign(note, before, proof)``: a log's checkpoint, with the cosignatures that it is to be published with.

``before`` is what the log published before it, if anything. Raises LogError when it must not be published without more,
and OvertakenError when that may be because another writer was faster.
"""


class OvertakenError(LogError):
    """A witness has cosigned more than it was asked for: another writer is ahead, or the log was rolled back."""


_MAX_HASHES = 63
_MAX_HEAD_BYTES = len("old 9223372036854775807\n") + 45 * _MAX_HASHES + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """The request to cosign the checkpoint in ``note``; ``proof`` leads there from the tree of ``old`` entries."""

    old: int
    proof: tuple[bytes, ...]
    note: SignedNote

    @classmethod
    def parse(cls, data: bytes) -> "AddCheckpoint":
        """Return the request in ``data``. Raises MalformedError when it is none, or is larger than the limits."""
        end = data.find(b"\n\n", 0, _MAX_HEAD_BYTES)
        if end < 0 or len(data) > MAX_REQUEST_BYTES:
            raise MalformedError("expected an old size, a consistency proof, an empty line and a checkpoint")
        note = SignedNote.parse(data[end + 2 :])
        Checkpoint.parse(note.text)
        try:
            first, *lines = data[:end].decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise MalformedError("expected the head of the request in ASCII") from error
        proof = tuple(map(b64decode, lines))
        if not first.startswith("old ") or len(proof) > _MAX_HASHES or any(len(digest) != 32 for digest in proof):
            raise MalformedError(f"expected an old size, and a proof of at most {_MAX_HASHES} SHA-256 hashes")
        return cls(old=parse_size(first.removeprefix("old ")), proof=proof, note=note)

    def to_bytes(self) -> bytes:
        """Return the request in its one spelling."""
        lines = [f"old {self.old}", *map(b64encode, self.proof), "", ""]
        return "\n".join(lines).encode() + self.note.to_bytes()

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint that is to be cosigned, as it claims to be."""
        return Checkpoint.parse(self.note.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a witness does not cosign: an HTTP ``status``, a ``reason``, and with 409 the ``size`` that it knows."""

    status: int
    reason: str
    size: int | None = None


def refusal_of(request: AddCheckpoint, keys: Sequence[VerifierKey], latest: Checkpoint | None) -> Refusal | None:
    """Return why a witness refuses ``request``, or None when it must cosign.

    ``keys`` are those it trusts for the checkpoint's origin, ``latest`` what it last cosigned for that origin. Whoever
    cosigns must make this answer and the new ``latest`` one step, or two requests at once roll the log back.
    """
    return _refusal_of_claim(request, keys) or _refusal_of_history(request, latest)


def _refusal_of_claim(request: AddCheckpoint, keys: Sequence[VerifierKey]) -> Refusal | None:
    if not keys:
        return Refusal(status=404, reason="expected a log that this witness knows")
    try:
        checkpoint = verify_checkpoint(request.note, request.checkpoint.origin, keys)
    except SignatureError as error:
        return Refusal(status=403, reason=str(error))
    if request.old > checkpoint.size:
        return Refusal(status=400, reason="expected an old size that is not above that of the checkpoint")
    return None


def _refusal_of_history(request: AddCheckpoint, latest: Checkpoint | None) -> Refusal | None:
    size, root = (latest.size, latest.root) if latest else (0, merkle.EMPTY_ROOT)
    checkpoint = request.checkpoint
    if request.old != size:
        return Refusal(status=409, reason="expected the size that was cosigned last", size=size)
    if size == checkpoint.size and root != checkpoint.root:
        return Refusal(status=409, reason="expected the root that was cosigned for this size", size=size)
    try:
        merkle.check_consistency(size, checkpoint.size, root, checkpoint.root, request.proof)
    except ConsistencyError as error:
        return Refusal(status=422, reason=str(error))
    return None


def parse_size(text: str) -> int:
    """Return the size of a tree that ``text`` spells in decimal. Raises MalformedError when it is none."""
    size = parse_decimal(text)
    if size > MAX_SIZE:
        raise MalformedError("expected the size of a tree below 2^63")
    return size


def parse_lines(data: bytes) -> tuple[NoteSignature, ...]:
    """Return the signature lines in ``data``, what a witness answers when it cosigns. Raises MalformedError."""
    try:
        *lines, rest = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise MalformedError("expected signature lines in UTF-8") from error
    if rest or not 0 < len(lines) <= MAX_SIGNATURES:
        raise MalformedError("expected signature lines, each ended by a newline")
    return tuple(map(NoteSignature.parse, lines))


def origin_id(origin: str) -> str:
    """Return the hex SHA-256 of ``origin``, by which a witness serves its latest checkpoint of that log."""
    return hashlib.sha256(origin.encode()).hexdigest()
