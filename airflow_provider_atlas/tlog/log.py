"""The seam to a transparency log."""

from collections.abc import Sequence
from typing import Protocol

from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.receipt import Receipt


class TransparencyLog(Protocol):
    """A log that can be appended to, seen by a worker."""

    def append(self, entries: Sequence[bytes]) -> Sequence[Receipt]:
        """Append ``entries``, each 1 to 65,535 bytes; return one receipt for each, in order.

        A log in a folder appends them in one commit. One that is reached over Rekor's interface takes one at a time,
        and hashedrekords alone.

        When this returns, the entries are durable, their indices are final, and a signed checkpoint covers them.
        An entry that the log already holds is not added again: its receipt names the first index.

        Raises LogError when the log is away, refuses, or does not own its folder.
        """
        ...

    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint that the log signed, or None when it has signed none.

        Raises LogError when the log is away.
        """
        ...
