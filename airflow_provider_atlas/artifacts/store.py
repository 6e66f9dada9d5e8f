"""The seam to where artifacts live, and what is known of one.

An artifact is named by its URI. A file's digest is the SHA-256 of its bytes; a directory's is that of its manifest
(``artifacts/manifest.py``), so that a name moved inside it changes the digest as a byte would.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from airflow_provider_atlas.artifacts.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One input or output as it was when it was read: ``sha256`` is lower-case hex, ``size`` is in bytes.

    ``manifest`` is there for a directory and lists its files.
    """

    uri: str
    sha256: str
    size: int
    kind: Literal["file", "directory"]
    manifest: Manifest | None = None


class ArtifactStore(Protocol):
    """Reads the artifacts of one URI scheme."""

    def describe(self, uri: str) -> Artifact:
        """Return what ``uri`` holds now, a file or a directory.

        Raises MissingError when nothing is there, CaptureError when it cannot be read or changes while it is read.
        """
        ...
