"""Which log a relying party trusts: its origin and the key that signs its checkpoints."""

from dataclasses import dataclass

from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.receipt import Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedLog:
    """A log that is trusted to include what its receipts say: the first line of its checkpoints, and their key."""

    origin: str
    key: VerifierKey

    def check(self, receipt: Receipt, entry: bytes) -> Checkpoint:
        """Return the checkpoint of this log whose tree holds ``entry``, as ``receipt`` proves.

        Raises SignatureError or InclusionError when it does not (``Receipt.check``).
        """
        return receipt.check(entry, self.origin, (self.key,))
