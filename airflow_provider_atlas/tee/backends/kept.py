"""What was fetched once and is kept: files in a folder that any number of processes may share."""

import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A file's content, and when it was fetched."""

    content: bytes
    at: datetime


class KeptFiles:
    """Files in ``folder``, made at the first write.

    It is a memory and no record: what cannot be read counts as forgotten, and what cannot be written is not kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> Kept | None:
        """Return the file ``name``, or None."""
        try:
            with (self._folder / name).open("rb") as file:
                return Kept(content=file.read(), at=datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC))
        except OSError:
            return None

    def write(self, name: str, content: bytes, at: datetime) -> None:
        """Keep ``content``, fetched at the aware moment ``at``, as ``name``: whole for whoever reads it meanwhile."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=self._folder, prefix=".")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                os.utime(draft, (at.timestamp(), at.timestamp()))
                Path(draft).replace(self._folder / name)
            finally:
                Path(draft).unlink(missing_ok=True)
        except OSError:
            return
