"""Cosignatures: that a witness saw a checkpoint, at a time, and no other history of that log before.

A cosignature is a signature line of the checkpoint's note whose blob is ``u64 timestamp ‖ signature``, big-endian. What
an Ed25519 witness signs is text::

    cosignature/v1
    time 1679315147
    example.com/behind-the-sofa
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

What an ML-DSA-44 witness signs is a structure, which has the witness's name in it, and no extension lines.

See: https://c2sp.org/tlog-cosignature (v1.1.0-rc.1); RFC 8032 (Ed25519), FIPS 204 (ML-DSA).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, KeySerializationEncryption, PrivateFormat

from airflow_provider_atlas.errors import MalformedError, MissingError, SignatureError
from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.note import (
    COSIGNATURE_ED25519,
    COSIGNATURE_MLDSA44,
    NoteSignature,
    SignedNote,
    VerifierKey,
    check_name,
)

COSIGNER_KINDS = (COSIGNATURE_ED25519, COSIGNATURE_MLDSA44)
"""The signature types that a witness may have."""

MAX_TIMESTAMP = 2**63 - 1
"""The latest time that a cosignature can have, in POSIX seconds."""

_SIGNATURE_BYTES = {COSIGNATURE_ED25519: 64, COSIGNATURE_MLDSA44: 2420}
_MAX_VECTOR = 255  # what the u8 length before a name or an origin can say


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A ``signature`` of the kind that its key makes, and the ``timestamp`` (POSIX seconds) that it signs with."""

    timestamp: int
    signature: bytes

    @classmethod
    def parse(cls, blob: bytes, kind: int) -> "Cosignature":
        """Return the cosignature in ``blob``, by a key of ``kind``. Raises MalformedError when it is none."""
        timestamp, signature = int.from_bytes(blob[:8], "big"), blob[8:]
        if len(signature) != _SIGNATURE_BYTES.get(kind) or timestamp > MAX_TIMESTAMP:
            raise MalformedError("expected a cosignature: a timestamp below 2^63, and a signature of its key's length")
        return cls(timestamp=timestamp, signature=signature)

    def to_bytes(self) -> bytes:
        """Return the cosignature as a signature line has it behind the key id."""
        return self.timestamp.to_bytes(8, "big") + self.signature


class _PublicKey(Protocol):
    def public_bytes_raw(self) -> bytes: ...


class CosignerKey(Protocol):
    """A private key that a witness may have: ``Ed25519PrivateKey`` or ``MLDSA44PrivateKey``.

    The second is not named here, since an older ``cryptography`` has none.
    """

    def sign(self, data: bytes, /) -> bytes:
        """Return the signature of ``data``."""
        ...

    def public_key(self) -> _PublicKey:
        """Return the public half."""
        ...

    def private_bytes(
        self,
        encoding: Encoding,
        format: PrivateFormat,  # noqa: A002 - the library's name
        encryption_algorithm: KeySerializationEncryption,
    ) -> bytes:
        """Return the key itself, to be kept."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigner:
    """A witness's name and private ``key``: it cosigns whatever it is given, so ask ``tlog.witness`` first."""

    name: str
    key: CosignerKey

    def __post_init__(self) -> None:
        check_name(self.name)

    @property
    def verifier_key(self) -> VerifierKey:
        """The public half, which others verify by."""
        kind = COSIGNATURE_ED25519 if isinstance(self.key, Ed25519PrivateKey) else COSIGNATURE_MLDSA44
        return VerifierKey(name=self.name, public_key=self.key.public_key().public_bytes_raw(), kind=kind)

    def cosign(self, text: str, timestamp: int) -> NoteSignature:
        """Return the signature line over the checkpoint ``text`` at ``timestamp`` (POSIX seconds).

        Raises MalformedError when ``text`` is no checkpoint, or cannot be cosigned with this kind of key.
        """
        if not 0 <= timestamp <= MAX_TIMESTAMP:
            raise MalformedError("expected a time between 1970 and 2^63 seconds later")
        key = self.verifier_key
        cosignature = Cosignature(timestamp=timestamp, signature=self.key.sign(_message(key, timestamp, text)))
        return NoteSignature(name=self.name, key_id=key.key_id, signature=cosignature.to_bytes())


def cosigned(note: SignedNote, keys: Iterable[VerifierKey]) -> Mapping[VerifierKey, int]:
    """Return those of ``keys`` that cosigned the checkpoint in ``note``, each with its latest time (POSIX seconds).

    Lines of unknown keys are ignored, even when they share a name or an id with a known one. Raises SignatureError when
    a known key's line is wrong, whatever the others say; MalformedError when the note holds no checkpoint; and
    MissingError when this machine cannot verify ML-DSA.
    """
    known = tuple(keys)
    times: dict[VerifierKey, int] = {}
    for line in note.signatures:
        for key in known:
            if (key.name, key.key_id) == (line.name, line.key_id):
                times[key] = max(verify_cosignature(line, key, note.text), times.get(key, 0))
    return times


def verify_cosignature(line: NoteSignature, key: VerifierKey, text: str) -> int:
    """Return the time (POSIX seconds) at which ``key`` cosigned the checkpoint ``text``, as ``line`` proves.

    Raises as ``cosigned`` does.
    """
    try:
        cosignature = Cosignature.parse(line.signature, key.kind)
        _verify(key, cosignature.signature, _message(key, cosignature.timestamp, text))
    except (InvalidSignature, MalformedError, ValueError) as error:
        raise SignatureError(f"expected a cosignature by {key.name}+{key.key_id.hex()}") from error
    return cosignature.timestamp


def _verify(key: VerifierKey, signature: bytes, message: bytes) -> None:
    if key.kind == COSIGNATURE_ED25519:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, message)
        return
    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

        public_key = MLDSA44PublicKey.from_public_bytes(key.public_key)
    except (ImportError, UnsupportedAlgorithm) as error:
        raise MissingError("this machine's cryptography has no ML-DSA-44: install a newer one") from error
    public_key.verify(signature, message)


def _message(key: VerifierKey, timestamp: int, text: str) -> bytes:
    checkpoint = Checkpoint.parse(text)
    if key.kind == COSIGNATURE_ED25519:
        return f"cosignature/v1\ntime {timestamp}\n{text}".encode()
    start, end = 0, checkpoint.size
    numbers = start.to_bytes(8, "big") + end.to_bytes(8, "big")
    name, origin = _vector(key.name), _vector(checkpoint.origin)
    return b"subtree/v1\n\0" + name + timestamp.to_bytes(8, "big") + origin + numbers + checkpoint.root


def _vector(text: str) -> bytes:
    data = text.encode()
    if len(data) > _MAX_VECTOR:
        raise MalformedError(f"expected a name of at most {_MAX_VECTOR} bytes, to be cosigned with ML-DSA-44")
    return bytes([len(data)]) + data
