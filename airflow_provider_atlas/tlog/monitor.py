r"""Watching a log: what was seen last, what is shown now, and whether both can be true.

::

    {"changed":"2026-01-31T12:00:00.000000Z","note":"example.com/log\n3\n…","version":1}

See: https://c2sp.org/tlog-checkpoint ("a log MUST NOT sign any checkpoint which is inconsistent with any checkpoint it
previously signed"). The file is our own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from airflow_provider_atlas import merkle
from airflow_provider_atlas.encoding import Fields, canonical_json, format_time, parse_canonical_json
from airflow_provider_atlas.errors import ConsistencyError, MalformedError, SignatureError
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.cosignature import cosigned
from airflow_provider_atlas.tlog.policy import WitnessPolicy
from airflow_provider_atlas.tlog.tile import TileTree

AlarmKind = Literal["fork", "rollback", "signature", "stale", "tiles", "witnesses"]
"""Two histories · an older tree · not by the log's key · too old · tiles of another tree · no quorum cosigned."""

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something about a log that must not be, and its ``detail`` in words."""

    kind: AlarmKind
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The last checkpoint that was found right, and when it was first seen (``changed``, aware)."""

    signed: SignedCheckpoint
    changed: datetime

    @classmethod
    def parse(cls, data: bytes) -> "Seen":
        """Return what is in ``data``. Raises MalformedError when it is none of this."""
        fields = Fields(parse_canonical_json(data), "the monitor's state")
        if fields.integer("version") != VERSION:
            raise MalformedError(f"expected version {VERSION} of the monitor's state")
        seen = cls(signed=SignedCheckpoint.parse(fields.text("note").encode()), changed=fields.time("changed"))
        fields.end()
        return seen

    def to_bytes(self) -> bytes:
        """Return it in its one spelling, canonical JSON."""
        note = self.signed.note.to_bytes().decode()
        return canonical_json({"changed": format_time(self.changed), "note": note, "version": VERSION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What a log is held to: the witnesses that must have cosigned, if any, and how old its checkpoint may be."""

    witnesses: WitnessPolicy | None = None
    max_age: timedelta | None = None

    def alarms(self, seen: Seen | None, shown: SignedCheckpoint, tree: TileTree, now: datetime) -> Sequence[Alarm]:
        """Return what is wrong with the checkpoint that a log has ``shown``, and its key signed, after ``seen``.

        ``tree`` is what its tiles have at that size. Raises MissingError when tiles that the answer needs are not
        there, or this machine cannot verify a witness, and MalformedError for tiles that are none.
        """
        found = [*self._of_history(seen.signed.checkpoint if seen else None, shown.checkpoint, tree)]
        found += self._of_witnesses(shown)
        found += self._of_age(seen, shown, now)
        return found

    @staticmethod
    def _of_history(old: Checkpoint | None, new: Checkpoint, tree: TileTree) -> Iterator[Alarm]:
        if old and new.size < old.size:
            yield Alarm(kind="rollback", detail=f"the log had {old.size} entries, and shows a tree of {new.size}")
        elif tree.root() != new.root:
            yield Alarm(kind="tiles", detail=f"the tiles do not give the root of the checkpoint of {new.size} entries")
        if old and new.size == old.size and new.root != old.root:
            yield Alarm(kind="fork", detail=f"the log signed two roots for {new.size} entries")
        if old and new.size > old.size:
            try:
                proof = tree.consistency_proof(old.size)
                merkle.check_consistency(old.size, new.size, old.root, new.root, proof)
            except ConsistencyError:
                detail = f"the tree of {new.size} entries does not extend the one of {old.size} that was seen before"
                yield Alarm(kind="fork", detail=detail)

    def _of_witnesses(self, shown: SignedCheckpoint) -> Iterator[Alarm]:
        try:
            if self.witnesses:
                self.witnesses.check(shown.note)
        except SignatureError as error:
            yield Alarm(kind="witnesses", detail=str(error))

    def _of_age(self, seen: Seen | None, shown: SignedCheckpoint, now: datetime) -> Iterator[Alarm]:
        if self.max_age is None:
            return
        since = self._made(shown) or (seen.changed if seen and seen.signed.checkpoint == shown.checkpoint else now)
        if now - since > self.max_age:
            yield Alarm(kind="stale", detail=f"the newest checkpoint is of {format_time(since)}")

    def _made(self, shown: SignedCheckpoint) -> datetime | None:
        """Return when a witness last cosigned ``shown``; without one, a checkpoint does not tell how old it is."""
        try:
            keys = [witness.key for witness in self.witnesses.witnesses] if self.witnesses else []
            times = cosigned(shown.note, keys).values()
            return datetime.fromtimestamp(max(times), UTC) if times else None
        except (SignatureError, OverflowError, ValueError, OSError):
            return None
