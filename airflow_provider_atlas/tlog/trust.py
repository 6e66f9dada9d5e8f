"""Which log a relying party trusts: its origin, its key, what it logs, and the witnesses that must have seen it."""

from dataclasses import dataclass
from typing import Literal

from airflow_provider_atlas.tlog import rekor_v1
from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.policy import WitnessPolicy
from airflow_provider_atlas.tlog.receipt import Receipt

Entries = Literal["hashedrekord 0.0.2", "hashedrekord 0.0.1"]
"""What a log holds of a signature: the leaves of Rekor v2, which are ours too, or those of Rekor v1."""


def leaf_of(entry: bytes, entries: Entries) -> bytes:
    """Return what a log of ``entries`` holds of ``entry``, a hashedrekord 0.0.2 (in a log of these: whatever bytes).

    Raises MalformedError when it is none.
    """
    return entry if entries == "hashedrekord 0.0.2" else rekor_v1.leaf(HashedRekord.parse(entry))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedLog:
    """A log that is trusted to include what its receipts say: the first line of its checkpoints, and their key.

    ``entries`` says which leaves it has. A log has one kind, and a receipt for another proves nothing here. With
    ``witnesses``, a checkpoint counts only when a quorum of them cosigned it: then its operator cannot show it to
    one relying party, and another history to the next.
    """

    origin: str
    key: VerifierKey
    witnesses: WitnessPolicy | None = None
    entries: Entries = "hashedrekord 0.0.2"

    @property
    def is_witnessed(self) -> bool:
        """Whether a checkpoint of this log needs anybody's word but the log's own."""
        return self.witnesses is not None and self.witnesses.quorum is not None

    def leaf(self, entry: bytes) -> bytes:
        """Return what this log holds of ``entry``, as ``leaf_of`` does."""
        return leaf_of(entry, self.entries)

    def check(self, receipt: Receipt, entry: bytes) -> Checkpoint:
        """Return the checkpoint of this log whose tree holds the leaf of ``entry``, as ``receipt`` proves.

        Raises SignatureError or InclusionError when it does not (``Receipt.check``), SignatureError when too few
        witnesses cosigned it or a promise of Rekor v1 is not the log's, MissingError when this machine cannot tell
        (``WitnessPolicy.check``), and MalformedError as ``leaf`` does, and for extra data that is no promise.
        """
        leaf = self.leaf(entry)
        checkpoint = receipt.check(leaf, self.origin, (self.key,))
        if self.entries == "hashedrekord 0.0.1" and receipt.extra:
            rekor_v1.Promise.parse(receipt.extra).check(leaf, self.key)
        if self.witnesses is not None:
            self.witnesses.check(receipt.note)
        return checkpoint
