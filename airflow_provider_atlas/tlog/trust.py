"""Which log a relying party trusts: its origin, its key, and the witnesses that must have seen its checkpoints."""

from dataclasses import dataclass

from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.policy import WitnessPolicy
from airflow_provider_atlas.tlog.receipt import Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedLog:
    """A log that is trusted to include what its receipts say: the first line of its checkpoints, and their key.

    With ``witnesses``, a checkpoint counts only when a quorum of them cosigned it: then its operator cannot show it to
    one relying party, and another history to the next.
    """

    origin: str
    key: VerifierKey
    witnesses: WitnessPolicy | None = None

    @property
    def is_witnessed(self) -> bool:
        """Whether a checkpoint of this log needs anybody's word but the log's own."""
        return self.witnesses is not None and self.witnesses.quorum is not None

    def check(self, receipt: Receipt, entry: bytes) -> Checkpoint:
        """Return the checkpoint of this log whose tree holds ``entry``, as ``receipt`` proves.

        Raises SignatureError or InclusionError when it does not (``Receipt.check``), SignatureError when too few
        witnesses cosigned it, and MissingError when this machine cannot tell (``WitnessPolicy.check``).
        """
        checkpoint = receipt.check(entry, self.origin, (self.key,))
        if self.witnesses is not None:
            self.witnesses.check(receipt.note)
        return checkpoint
