r"""A commit: some entries, final in their order, that a log kept in an object store has taken at once.

It is ``u32 length ‖ note ‖ bundle``: a signed note of that length, and the entries as a bundle spells them. The text of
the note says where they go, which root the tree had before and has after, and the SHA-256 of the bundle::

    example.com/log commit
    120
    3
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
    sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=
    gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=

The first line has a space, which no origin has, and the third is no root: a commit can be taken for no checkpoint.

See: https://c2sp.org/signed-note, https://c2sp.org/tlog-tiles (bundles).
"""

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_atlas.encoding import b64decode, b64encode, parse_decimal
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tlog.checkpoint import MAX_SIZE
from airflow_provider_atlas.tlog.note import SignedNote, VerifierKey, sign, verify
from airflow_provider_atlas.tlog.tile import parse_bundle

MAX_COMMIT_BYTES = 64 << 20
"""The largest commit that is made or looked at."""

_LENGTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """``count`` entries, the first of them at index ``first``, as ``payload`` spells them (a bundle).

    ``before`` and ``after`` are the roots of the tree without and with them, 32 bytes each.
    """

    first: int
    count: int
    before: bytes
    after: bytes
    payload: bytes

    @classmethod
    def parse(cls, data: bytes, key: VerifierKey) -> "Commit":
        """Return the commit in ``data`` to the log that ``key`` signs for, and is named after.

        Raises MalformedError when it is none, and SignatureError when ``key`` did not sign it.
        """
        end = _LENGTH + int.from_bytes(data[:_LENGTH], "big")
        if len(data) > MAX_COMMIT_BYTES or end > len(data):
            raise MalformedError("expected a commit: the length of a note, the note, and a bundle")
        note, payload = SignedNote.parse(data[_LENGTH:end]), data[end:]
        verify(note, (key,))
        title, *lines = note.text.removesuffix("\n").split("\n")
        if title != f"{key.name} commit" or len(lines) != 5:
            raise MalformedError(f"expected a commit to the log {key.name}")
        before, after, digest = map(b64decode, lines[2:])
        if digest != hashlib.sha256(payload).digest():
            raise MalformedError("expected the entries that the commit was signed over")
        commit = cls(
            first=parse_decimal(lines[0]), count=parse_decimal(lines[1]), before=before, after=after, payload=payload
        )
        commit._check()
        return commit

    def to_bytes(self, name: str, key: Ed25519PrivateKey) -> bytes:
        """Return the commit to the log ``name``, signed by its ``key``: the same bytes, whoever of its writers asks."""
        digests = (self.before, self.after, hashlib.sha256(self.payload).digest())
        lines = (f"{name} commit", str(self.first), str(self.count), *map(b64encode, digests))
        note = sign("".join(f"{line}\n" for line in lines), name, key).to_bytes()
        return len(note).to_bytes(_LENGTH, "big") + note + self.payload

    @property
    def end(self) -> int:
        """The size of the tree after the commit."""
        return self.first + self.count

    def entries(self) -> list[bytes]:
        """Return the entries. Raises MalformedError when the bundle does not hold as many."""
        return parse_bundle(self.payload, self.count)

    def _check(self) -> None:
        if not self.count or self.end > MAX_SIZE or (len(self.before), len(self.after)) != (32, 32):
            raise MalformedError("expected a commit of one entry at least, between two SHA-256 roots")
