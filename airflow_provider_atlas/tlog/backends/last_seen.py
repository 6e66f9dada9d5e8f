"""What a worker remembers of a log that it shares, or that others keep: the newest checkpoint it has seen, in a file.

A store can be rolled back, or a database restored from a backup, and nothing in it would tell; and who keeps a log may
show each of its clients another one. A worker that has seen more refuses what does not continue it.

See: https://c2sp.org/tlog-checkpoint ("a log MUST NOT sign any checkpoint which is inconsistent with any checkpoint it
previously signed").
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from airflow_provider_atlas.errors import ConsistencyError, LogError, MalformedError, SignatureError
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.note import SignedNote, VerifierKey


class LastSeen:
    """The newest checkpoint that was seen of the log of ``key``: in ``folder``, or nowhere but here when it is None.

    ``origin`` is the first line of its checkpoints, where that is not the key's name.
    """

    def __init__(self, folder: Path | None, key: VerifierKey, origin: str | None = None) -> None:
        self._key = key
        self._origin = origin or key.name
        name = str(key) if self._origin == key.name else f"{self._origin}\n{key}"  # a key may sign for many trees
        self._path = f"{folder}/{hashlib.sha256(name.encode()).hexdigest()}" if folder else None
        self._here: Checkpoint | None = None

    @property
    def place(self) -> str:
        """Where it is remembered, for people."""
        return self._path or "memory"

    @property
    def size(self) -> int:
        """The size of the newest checkpoint that was seen, 0 when none was. Raises LogError."""
        seen = self.newest()
        return seen.size if seen else 0

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that was seen, or None. Raises LogError when the file cannot be read."""
        seen = [checkpoint for checkpoint in (self._here, self._read()) if checkpoint]
        return max(seen, key=lambda checkpoint: checkpoint.size, default=None)

    def check(self, size: int, root_at: Callable[[int], bytes]) -> None:
        """Check that a log of ``size``, whose root at a smaller one ``root_at`` returns, goes on from what was seen.

        Raises ConsistencyError when it does not, LogError when the file cannot be read, and what ``root_at`` raises.
        """
        for seen in filter(None, (self._here, self._read())):
            if seen.size > size or root_at(seen.size) != seen.root:
                raise ConsistencyError(
                    f"the log {self._key.name} has {size} entries, and this worker saw it sign {seen.size} that it does"
                    f" not continue: it was rolled back or forked. Restore it; or, if it is meant, remove {self._path}"
                )

    def keep(self, signed: SignedCheckpoint) -> None:
        """Remember ``signed``, unless a newer one was seen. Raises LogError when the file cannot be written."""
        if self._here and signed.checkpoint.size <= self._here.size:
            return
        self._here = signed.checkpoint
        if self._path is None:
            return
        with files.explained(os.path.dirname(self._path), "remember what was seen of"):
            os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
            with files.locked(f"{self._path}.lock"):
                known = self._read()
                if known is None or known.size < signed.checkpoint.size:
                    files.replace(self._path, signed.note.to_bytes(), f"{self._path}.spare", mode=files.PRIVATE)

    def advance(self, signed: SignedCheckpoint, since: Checkpoint | None) -> bool:
        """Remember ``signed``, found to continue ``since``; return False when that is not the newest that was seen.

        Then another thread or process was faster, and there is more to compare with. Raises LogError as ``keep`` does.
        """
        if self._path is None:
            if self.newest() != since:
                return False
            self._here = signed.checkpoint
            return True
        with files.explained(os.path.dirname(self._path), "remember what was seen of"):
            os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
            with files.locked(f"{self._path}.lock"):
                if self.newest() != since:
                    return False
                files.replace(self._path, signed.note.to_bytes(), f"{self._path}.spare", mode=files.PRIVATE)
        self._here = signed.checkpoint
        return True

    def accuse(self, notes: Iterable[SignedNote]) -> None:
        """Keep ``notes``, which contradict one another or what was seen, in ``place`` + ``.accused``. Raises LogError.

        Two checkpoints by one key that cannot both be true convince anybody, and nobody can make them but the log.
        """
        if self._path is None:
            return
        content, path = b"\n".join(note.to_bytes() for note in notes), f"{self._path}.accused"
        with files.explained(os.path.dirname(path), "remember what was seen of"):
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            files.replace(path, content, f"{path}.spare", mode=files.PRIVATE)

    def _read(self) -> Checkpoint | None:
        if self._path is None:
            return None
        with files.explained(os.path.dirname(self._path), "remember what was seen of"):
            data = files.read(self._path)
        try:
            # After a power failure the file may be empty: then this worker has forgotten, and remembers anew.
            return SignedCheckpoint.parse(data).verify(self._origin, (self._key,)) if data else None
        except (MalformedError, SignatureError) as error:
            raise LogError(f"{self._path} is no checkpoint that the log's key signed: remove it") from error
