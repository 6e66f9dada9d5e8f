"""The seam to a time-stamp authority: who says when."""

from typing import Protocol


class TimestampAuthority(Protocol):
    """Says when it saw something."""

    def stamp(self, message: bytes) -> bytes:
        """Return the time-stamp (TimeStampResp of RFC 3161, DER) of the SHA-256 of ``message``, made now.

        Raises TimestampError when the authority is away, refuses, or stamps something else.
        """
        ...
