"""The folder of a log: made, recognized, and what its files are."""

import os
from datetime import UTC, datetime
from pathlib import Path

from airflow_provider_atlas.errors import ConfigError, LogError, MalformedError, SignatureError
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.backends.posix_handout import Handout
from airflow_provider_atlas.tlog.backends.posix_index import LeafIndex
from airflow_provider_atlas.tlog.backends.posix_journal import START, Journal
from airflow_provider_atlas.tlog.backends.posix_state import TreeState
from airflow_provider_atlas.tlog.backends.posix_tiles import TileFolder
from airflow_provider_atlas.tlog.checkpoint import SignedCheckpoint
from airflow_provider_atlas.tlog.format import Format
from airflow_provider_atlas.tlog.note import VerifierKey

_OURS = {".state", "lost+found"}  # the second is in every fresh ext4 volume


class UnderivedError(LogError):
    """A file that is derived from the journal is missing or wrong; if ``whole``, it may be any of them."""

    def __init__(self, folder: str, *, whole: bool) -> None:
        super().__init__(
            f"the tiles of the log in {folder} are not what its journal gives, even after a repair: check its disk"
        )
        self.whole = whole


class LogFolder:
    """The files of the log in the folder ``path``, whose checkpoints ``key`` verifies.

    With ``shared`` somebody answers for it that no other machine writes to the file system it is on.
    """

    def __init__(self, path: str, key: VerifierKey, *, shared: bool = False) -> None:
        self.path = path
        self._shared = shared
        self.key = key
        self.state_path = f"{path}/.state"
        self.lock = f"{self.state_path}/lock"
        self.tree_lock = f"{self.state_path}/tree-lock"
        self.journal = Journal(f"{self.state_path}/journal")
        self.index = LeafIndex(f"{self.state_path}/index")
        self.handout = Handout(f"{self.state_path}/proofs")
        self.tiles = TileFolder(path)
        self._remembered: tuple[bytes, TreeState] | None = None

    def refuse_network(self) -> None:
        """Raise ConfigError on a file system that other machines share, unless somebody answers for that."""
        if not self._shared:
            files.refuse_network(self.path)

    def state(self) -> TreeState:
        """Return how far the tree is built.

        Raises UnderivedError when this machine does not know: after it was started anew, or when the file is gone. A
        reader who holds no lock may see it torn; recovery waits for the writer, and finds nothing to do.
        """
        state = self.remembered()
        if state is None or state.boot != files.boot_id() or not self.index.exists():
            raise UnderivedError(self.path, whole=False)
        return state

    def remembered(self) -> TreeState | None:
        """Return what the log knew last, in this boot or in an earlier one, or None when it cannot be read."""
        content, last = files.read(f"{self.state_path}/tree.json") or b"", self._remembered
        if last and last[0] == content:
            return last[1]
        try:
            state = TreeState.parse(content)
        except MalformedError:
            return None
        self._remembered = content, state
        return state

    def published(self, known: SignedCheckpoint | None = None) -> SignedCheckpoint | None:
        """Return the checkpoint that the log publishes, or None when there is none that its key verifies.

        When it is ``known``, byte for byte, it is not verified again.
        """
        data = files.read(f"{self.path}/checkpoint")
        if data is None or (known and data == known.note.to_bytes()):
            return known if data else None
        try:
            return self.verified(SignedCheckpoint.parse(data))
        except MalformedError:
            return None

    def verified(self, signed: SignedCheckpoint | None) -> SignedCheckpoint | None:
        """Return ``signed``, or None when it is no checkpoint of this log."""
        try:
            if signed:
                signed.verify(self.key.name, (self.key,))
        except SignatureError:
            return None
        return signed

    def publish(self, signed: SignedCheckpoint) -> None:
        """Let the world see ``signed``, whose tiles are in place."""
        files.replace(f"{self.path}/checkpoint", signed.note.to_bytes(), f"{self.state_path}/spare")

    def save(self, state: TreeState) -> None:
        """Remember that the tree is built up to ``state``."""
        content = state.to_bytes()
        files.overwrite(f"{self.state_path}/tree.json", content)
        self._remembered = content, state


def open_folder(path: Path, key: VerifierKey, *, create: bool, shared: bool = False) -> LogFolder:
    """Return the folder of the log at ``path``, made if it is not there and ``create`` says so.

    With ``shared`` it may be on a file system that other machines share.

    Raises ConfigError when it holds no log, another, or one with another key, and LogError when it cannot be read.
    """
    folder = LogFolder(os.path.abspath(path), key, shared=shared)
    with files.explained(folder.path, "open"):
        data = files.read(f"{folder.state_path}/format.json")
        if data is None and not create:
            raise ConfigError(f"{path} holds no log: name the folder of one, or make it first")
        if data is None:
            data = _create(folder)
    try:
        found = Format.parse(data)
    except MalformedError as error:
        raise ConfigError(
            f"{path} holds a log whose format.json this version cannot read: restore or upgrade"
        ) from error
    found.check(key, str(path))
    return folder


def _create(folder: LogFolder) -> bytes:
    """Make an empty log, unless another process has meanwhile, and return its format."""
    path = f"{folder.state_path}/format.json"
    os.makedirs(folder.path, exist_ok=True)
    if set(os.listdir(folder.path)) - _OURS and files.read(path) is None:
        raise ConfigError(f"{folder.path} holds files and no log: name an empty folder, or the folder of a log")
    folder.refuse_network()
    os.makedirs(folder.state_path, 0o700, exist_ok=True)
    with files.locked(folder.lock):
        made = files.read(path)
        if made is not None:
            return made
        folder.journal.create()
        folder.index.create()
        folder.save(TreeState(position=START, signed=None, boot=files.boot_id()))
        content = Format(origin=folder.key.name, key=folder.key, created=datetime.now(UTC)).to_bytes()
        # A crash before this line leaves an empty folder to whoever comes next; after it, a log.
        files.replace(path, content, f"{folder.state_path}/spare", durable=True)
        for parent in (folder.state_path, folder.path, os.path.dirname(folder.path)):
            files.sync_folder(parent)
        return content
