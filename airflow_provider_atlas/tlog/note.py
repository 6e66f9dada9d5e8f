"""Signed notes, and the keys that verify them: text, an empty line, and one line for each signature.

::

    example.com/behind-the-sofa
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE…

See: https://c2sp.org/signed-note (v1.0.0). Of its signature types, Ed25519 (0x01) and ECDSA (0x02) are verified here;
keys of cosigners (0x04, 0x06) are named here, and ``tlog.cosignature`` verifies what they sign.
"""

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from airflow_provider_atlas.encoding import b64decode, b64encode, parse_hex
from airflow_provider_atlas.errors import MalformedError, SignatureError

MAX_NOTE_BYTES = 1_000_000
"""The largest note that is looked at: the limit of the reference implementation, golang.org/x/mod."""

MAX_SIGNATURES = 100
"""The most signature lines that are looked at. The specification asks for 16 at least."""

ED25519 = 0x01
"""The signature type of an Ed25519 signature over the text of the note."""

ECDSA = 0x02
"""The signature type of an ECDSA signature (P-256, SHA-256, DER) over the text of the note: so do some others' logs."""

LOG_KINDS = (ED25519, ECDSA)
"""The signature types that a log may sign its checkpoints with. Our own sign with the first alone."""

COSIGNATURE_ED25519 = 0x04
"""The signature type of a timestamped Ed25519 cosignature (tlog-cosignature)."""

COSIGNATURE_MLDSA44 = 0x06
"""The signature type of a timestamped ML-DSA-44 cosignature (tlog-cosignature)."""

_KEY_BYTES = {ED25519: 32, ECDSA: 91, COSIGNATURE_ED25519: 32, COSIGNATURE_MLDSA44: 1312}
_P256_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")  # of a SubjectPublicKeyInfo
_MAX_VKEY_CHARACTERS = 4096
_SEPARATOR = b"\n\n"
_DASH = "\N{EM DASH} "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NAME = re.compile(r"[^\s+\x00-\x1f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key and its name: who may sign a note, or cosign a checkpoint.

    ``kind`` is the signature type. ``public_key`` has 32 bytes (Ed25519), or 1312 (ML-DSA-44); of ECDSA it is the
    SubjectPublicKeyInfo of a P-256 key, in DER.
    """

    name: str
    public_key: bytes
    kind: int = ED25519

    @classmethod
    def of(cls, name: str, key: Ed25519PrivateKey) -> "VerifierKey":
        """Return the public half of ``key`` under ``name``. Raises MalformedError when it cannot be a key's name."""
        check_name(name)
        return cls(name=name, public_key=key.public_key().public_bytes_raw())

    @classmethod
    def parse(cls, text: str, *, kinds: Collection[int] = LOG_KINDS) -> "VerifierKey":
        """Return the key that ``text`` spells: ``name+keyid+base64``, a "vkey".

        ``kinds`` are the signature types that may stand here: by default those of a key that signs notes, and no
        cosigner's. Raises MalformedError for any other spelling or type, and for a key id that is not the key's.
        """
        if len(text) > _MAX_VKEY_CHARACTERS or text.count("+") < 2:
            raise MalformedError("expected a verifier key, name+keyid+base64")
        name, key_id, encoded = text.split("+", 2)  # the base64 may hold a plus of its own
        check_name(name)
        blob = b64decode(encoded)
        if not blob or blob[0] not in kinds or len(blob) - 1 != _KEY_BYTES.get(blob[0]):
            expected = " or ".join(f"0x{kind:02x} ({_KEY_BYTES[kind]} bytes)" for kind in kinds)
            raise MalformedError(f"expected a verifier key of type {expected}")
        key = cls(name=name, public_key=blob[1:], kind=blob[0])
        key.check()
        if parse_hex(key_id, 4) != key.key_id:
            raise MalformedError("expected the key id of a verifier key to be that of its name and key")
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(bytes([self.kind]) + self.public_key)}"

    @property
    def key_id(self) -> bytes:
        """The 4 bytes by which a signature line names this key: a hint, no commitment."""
        return self.key_hash[:4]

    @property
    def key_hash(self) -> bytes:
        """The 32 bytes that the key id is cut from; Rekor calls them the log id.

        Of an ECDSA key they are the SHA-256 of the key alone: its type is older than signed-note's rule.
        """
        if self.kind == ECDSA:
            return hashlib.sha256(self.public_key).digest()
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key).digest()

    def check(self) -> None:
        """Raise MalformedError unless the public key has the length, or of ECDSA the spelling, of its type."""
        if len(self.public_key) != _KEY_BYTES.get(self.kind):
            raise MalformedError(f"expected a public key of {_KEY_BYTES.get(self.kind)} bytes")
        if self.kind == ECDSA:
            self._p256()

    def verify(self, signature: bytes, text: str) -> None:
        """Check ``signature`` of the note text ``text``. Raises SignatureError when it is not this key's.

        A cosigner's key signs no note text, so it verifies none (``tlog.cosignature``).
        """
        self.verify_bytes(signature, text.encode())

    def verify_bytes(self, signature: bytes, message: bytes) -> None:
        """Check ``signature`` of ``message``, be it a note's text or not: Rekor v1 signs promises with the same key.

        Raises SignatureError as ``verify`` does.
        """
        if self.kind not in LOG_KINDS:
            raise SignatureError("expected the key of a log, which signs the text of a note; a cosigner's does not")
        try:
            if self.kind == ECDSA:
                self._p256().verify(signature, message, ec.ECDSA(hashes.SHA256()))
            else:
                Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, MalformedError, ValueError) as error:
            raise SignatureError(f"expected a signature by {self.name}+{self.key_id.hex()}") from error

    def _p256(self) -> ec.EllipticCurvePublicKey:
        try:
            key = load_der_public_key(self.public_key)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise MalformedError("expected a public key of ECDSA P-256 in its one spelling") from error
        if not self.public_key.startswith(_P256_HEAD) or not isinstance(key, ec.EllipticCurvePublicKey):
            raise MalformedError("expected a public key of ECDSA P-256 in its one spelling")
        return key


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line: the name and id (4 bytes) of the key it claims, and the signature."""

    name: str
    key_id: bytes
    signature: bytes

    @classmethod
    def parse(cls, line: str) -> "NoteSignature":
        """Return the signature in ``line``, without its newline. Raises MalformedError when it is none."""
        if not line.startswith(_DASH):
            raise MalformedError("expected a signature line of a note")
        name, _, encoded = line.removeprefix(_DASH).partition(" ")
        check_name(name)
        blob = b64decode(encoded)
        if len(blob) < 5:
            raise MalformedError("expected a key id and a signature in a signature line")
        return cls(name=name, key_id=blob[:4], signature=blob[4:])

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {b64encode(self.key_id + self.signature)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedNote:
    """A text, which ends in a newline, and its signatures. Nothing in it is to be believed before ``verify``."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, data: bytes) -> "SignedNote":
        """Return the note in ``data``. Raises MalformedError when it is none, or is larger than the limits."""
        if len(data) > MAX_NOTE_BYTES:
            raise MalformedError(f"expected a note of at most {MAX_NOTE_BYTES} bytes")
        end = data.rfind(_SEPARATOR)
        lines = data[end + 2 :]
        if end < 0 or not lines.endswith(b"\n"):
            raise MalformedError("expected a text, an empty line and signature lines")
        if lines.count(b"\n") > MAX_SIGNATURES:
            raise MalformedError(f"expected a note with at most {MAX_SIGNATURES} signatures")
        text, signatures = _utf8(data[: end + 1]), _utf8(lines[:-1])
        return cls(text=text, signatures=tuple(map(NoteSignature.parse, signatures.split("\n"))))

    def to_bytes(self) -> bytes:
        """Return the note in its one spelling."""
        return (self.text + "\n" + "".join(f"{signature}\n" for signature in self.signatures)).encode()


def sign(text: str, name: str, key: Ed25519PrivateKey) -> SignedNote:
    """Return ``text`` signed by ``key`` under ``name``.

    Raises MalformedError when ``text`` or ``name`` cannot stand in a note.
    """
    return sign_as(text, VerifierKey.of(name, key), key)


def sign_as(text: str, verifier: VerifierKey, key: Ed25519PrivateKey) -> SignedNote:
    """Return ``text`` signed by ``key``, whose public half is ``verifier``: to derive it costs more than to sign."""
    signature = NoteSignature(name=verifier.name, key_id=verifier.key_id, signature=key.sign(_note_text(text)))
    return SignedNote(text=text, signatures=(signature,))


def verify(note: SignedNote, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
    """Return the keys among ``keys`` that signed ``note``: at least one.

    Signatures of unknown keys are ignored, even when they share a name or an id with a known one. Raises
    SignatureError when a known key's signature is wrong, whatever the others say, or when no known key signed.
    """
    known = tuple(keys)
    signed = []
    for line in note.signatures:
        for key in known:
            if (key.name, key.key_id) == (line.name, line.key_id):
                key.verify(line.signature, note.text)
                signed.append(key)
    if not signed:
        raise SignatureError("expected a note signed by one of the keys that are trusted for it")
    return tuple(dict.fromkeys(signed))


def check_name(name: str) -> None:
    """Raise MalformedError unless ``name`` can name a key: not empty, no space of any script, no plus, no control."""
    if not _NAME.fullmatch(name):
        raise MalformedError("expected a key name without spaces, plus signs and control characters")
    _encode(name)


def _note_text(text: str) -> bytes:
    if not text.endswith("\n") or _CONTROL.search(text):
        raise MalformedError("expected the text of a note to end in a newline and to have no other control character")
    return _encode(text)


def _utf8(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("expected a note in UTF-8") from error
    if _CONTROL.search(text):
        raise MalformedError("expected a note without control characters")
    return text


def _encode(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedError("expected text that UTF-8 can spell") from error
