"""The objects that decide what is in a log: whose it is, its commits, and its checkpoint."""

from datetime import UTC, datetime
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_atlas.errors import ConfigError, LogError, MalformedError
from airflow_provider_atlas.tlog.backends.object_bucket import Bucket
from airflow_provider_atlas.tlog.checkpoint import Checkpoint, SignedCheckpoint
from airflow_provider_atlas.tlog.commit import MAX_COMMIT_BYTES, Commit
from airflow_provider_atlas.tlog.format import Format
from airflow_provider_atlas.tlog.note import VerifierKey, sign

_FORMAT = "state/format.json"
_CHECKPOINT = "checkpoint"
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"


class Published(NamedTuple):
    """A checkpoint that the log publishes, and the tag of its object."""

    signed: SignedCheckpoint
    tag: str


class CommitObjects:
    """The commits and the checkpoint of the log of ``key`` in ``bucket``. Raises LogError when the store is away."""

    def __init__(self, bucket: Bucket, key: VerifierKey, signing_key: Ed25519PrivateKey) -> None:
        self._bucket = bucket
        self._key = key
        self._signing_key = signing_key

    def open(self, *, create: bool) -> None:
        """Check that the log is there, and this one; make it when it is not and ``create`` says so.

        Raises ConfigError when there is none, something else, or the log of another origin or key.
        """
        found = self._bucket.get(_FORMAT)
        if found is None and create:
            self._create()
            found = self._bucket.get(_FORMAT)
        if found is None:
            raise ConfigError(f"{self._bucket.uri} holds no log: name one, or make it first")
        try:
            Format.parse(found.content).check(self._key, self._bucket.uri)
        except MalformedError as error:
            raise ConfigError(f"{self._bucket.uri} holds a log that this version cannot read") from error

    def read(self, first: int) -> Commit | None:
        """Return the commit whose first entry has the index ``first``, or None when there is none yet.

        Raises MalformedError or SignatureError when the object is no commit of this log.
        """
        found = self._bucket.get(_path(first))
        return Commit.parse(found.content, self._key) if found else None

    def put(self, commit: Commit) -> bool:
        """Put ``commit``, which decides that its entries are in the log; return False when another is in its place."""
        data = commit.to_bytes(self._key.name, self._signing_key)
        if len(data) > MAX_COMMIT_BYTES:
            raise LogError(f"one append to a log has {MAX_COMMIT_BYTES} bytes at most: append in parts")
        if self._bucket.create(_path(commit.first), data) is not None:
            return True
        # The answer to our put may have been lost, and its repetition refused. Who put the same means the same.
        found = self._bucket.get(_path(commit.first))
        return found is not None and found.content == data

    def published(self) -> Published | None:
        """Return the checkpoint that the log publishes, or None.

        Raises MalformedError or SignatureError when it is not one of this log.
        """
        found = self._bucket.get(_CHECKPOINT)
        if found is None:
            return None
        signed = SignedCheckpoint.parse(found.content)
        signed.verify(self._key.name, (self._key,))
        return Published(signed, found.tag)

    def sign(self, checkpoint: Checkpoint) -> SignedCheckpoint:
        """Return ``checkpoint``, signed: the same, whoever of the log's writers asks."""
        return SignedCheckpoint(checkpoint, sign(checkpoint.to_text(), self._key.name, self._signing_key))

    def publish(self, signed: SignedCheckpoint, before: Published | None) -> Published | None:
        """Publish ``signed`` in place of ``before``; return None when that is not there any more."""
        content = signed.note.to_bytes()
        if before is None:
            tag = self._bucket.create(_CHECKPOINT, content, kind=_TEXT)
        else:
            tag = self._bucket.replace(_CHECKPOINT, content, before.tag, kind=_TEXT)
        return None if tag is None else Published(signed, tag)

    def _create(self) -> None:
        for names in self._bucket.names(""):
            # Another process may be making the log at this moment; a log that has lost its format is not made anew.
            if names and self._bucket.get(_FORMAT) is None:
                raise ConfigError(
                    f"{self._bucket.uri} holds objects and no log: name an empty prefix, or that of a log"
                )
        content = Format(origin=self._key.name, key=self._key, created=datetime.now(UTC)).to_bytes()
        self._bucket.create(_FORMAT, content, kind=_JSON)


def _path(first: int) -> str:
    return f"state/commit/{first:020d}"
