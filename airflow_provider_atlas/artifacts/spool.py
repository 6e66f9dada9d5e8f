"""The seam to the spool: records that could not be finished, kept on this worker until they can.

A spooled record survives restarts. It is taken out only after it was archived.
"""

from collections.abc import Sequence
from typing import Protocol


class Spool(Protocol):
    """Keeps bytes by name, privately."""

    def put(self, name: str, content: bytes) -> None:
        """Keep ``content`` as ``name``, durably, in place of what was there. Raises ArchiveError."""
        ...

    def names(self) -> Sequence[str]:
        """Return the names of what is kept, oldest first. Raises ArchiveError."""
        ...

    def get(self, name: str) -> bytes:
        """Return what is kept as ``name``. Raises MissingError when another process has drained it."""
        ...

    def discard(self, name: str) -> None:
        """Forget ``name``; nothing happens when it is gone. Raises ArchiveError."""
        ...
