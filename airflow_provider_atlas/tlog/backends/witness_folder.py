"""A witness in a folder: its keys, and the last checkpoint of each log that it cosigned.

::

    witness.json                  its name and verifier keys; written last, so that it says that the rest is there
    ed25519.pem, ml-dsa-44.pem    its private keys (PKCS #8), for its user's eyes only
    logs/<sha256 of origin>/checkpoint    what it last cosigned of a log, which is also what monitors are shown
    lock                          held from the look at what was cosigned last until the disk has what follows it

What a witness signs it can never take back. So a checkpoint is on the disk before its cosignature leaves, and a folder
that is gone is not made anew by whoever starts the witness next.

See: https://c2sp.org/tlog-witness.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from airflow_provider_atlas.encoding import Fields, JsonObject, canonical_json, parse_canonical_json
from airflow_provider_atlas.errors import ConfigError, LogError, MalformedError, SignatureError
from airflow_provider_atlas.tlog.backends import posix_files as files
from airflow_provider_atlas.tlog.checkpoint import SignedCheckpoint
from airflow_provider_atlas.tlog.cosignature import Cosigner, CosignerKey, cosigned
from airflow_provider_atlas.tlog.note import SignedNote, VerifierKey, check_name
from airflow_provider_atlas.tlog.witness import SIZE_TYPE, AddCheckpoint, origin_id, refusal_of

VERSION = "1"

ALGORITHMS = ("ed25519", "ml-dsa-44")
"""What a witness may sign with, each in the file of that name."""

_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a witness answers over HTTP."""

    status: int
    body: bytes
    content_type: str = _TEXT


class WitnessFolder:
    """The witness in ``folder``, which cosigns the logs that ``keys`` sign: by origin, the keys that count.

    Any number of threads and processes may ask it at once. Raises ConfigError when the folder holds no witness, or not
    the keys that it was made with.
    """

    def __init__(self, folder: Path, keys: Mapping[str, Sequence[VerifierKey]]) -> None:
        self._folder = os.path.abspath(folder)
        self._keys = keys
        with files.explained(self._folder, "read the witness of"):
            self.cosigners = _load(self._folder)

    def add_checkpoint(self, body: bytes, now: int) -> Answer:
        """Answer the request ``body`` at ``now`` (POSIX seconds).

        Raises LogError when the folder cannot be read or written: then nothing was cosigned, as far as anyone can see.
        """
        try:
            request = AddCheckpoint.parse(body)
        except MalformedError as error:
            return _refused(400, str(error))
        origin = request.checkpoint.origin
        with files.explained(self._folder, "write the witness of"), files.locked(f"{self._folder}/lock"):
            latest = self._latest(origin)
            refusal = refusal_of(request, self._keys.get(origin, ()), latest.checkpoint if latest else None)
            if refusal and refusal.size is not None:
                return Answer(status=refusal.status, body=b"%d\n" % refusal.size, content_type=SIZE_TYPE)
            if refusal:
                return _refused(refusal.status, refusal.reason)
            return self._cosign(request.note, origin, max(now, self._last_time(latest)))

    def checkpoint(self, identifier: str) -> bytes | None:
        """Return the last checkpoint that was cosigned of the log with that ``origin_id``, or None."""
        known = {origin_id(origin) for origin in self._keys}
        return files.read(self._path(identifier)) if identifier in known else None

    def _cosign(self, note: SignedNote, origin: str, timestamp: int) -> Answer:
        lines = tuple(cosigner.cosign(note.text, timestamp) for cosigner in self.cosigners)
        trusted = {(key.name, key.key_id) for key in self._keys[origin]}
        by_log = tuple(line for line in note.signatures if (line.name, line.key_id) in trusted)
        kept, path = SignedNote(text=note.text, signatures=by_log + lines), self._path(origin_id(origin))
        files.replace(path, kept.to_bytes(), f"{self._folder}/spare", durable=True)
        # A crash up to here: the old checkpoint, or the new one, is what is cosigned next; no cosignature has left.
        files.sync_folder(os.path.dirname(path))
        return Answer(status=200, body="".join(f"{line}\n" for line in lines).encode())

    def _latest(self, origin: str) -> SignedCheckpoint | None:
        path = self._path(origin_id(origin))
        data = files.read(path)
        if data is None:
            return None
        with suppress(MalformedError, SignatureError):
            latest = SignedCheckpoint.parse(data)
            if self._last_time(latest):
                return latest
        # Never taken for "nothing cosigned yet": a second history could be cosigned then.
        raise LogError(f"{path} is not what this witness cosigned: restore it, and not from an older backup")

    def _last_time(self, latest: SignedCheckpoint | None) -> int:
        """Return when the last checkpoint was cosigned: a larger tree is never said to have been seen before it."""
        keys = [cosigner.verifier_key for cosigner in self.cosigners]
        return max(cosigned(latest.note, keys).values(), default=0) if latest else 0

    def _path(self, identifier: str) -> str:
        return f"{self._folder}/logs/{identifier}/checkpoint"


def create(folder: Path, name: str, algorithms: Sequence[str]) -> Sequence[VerifierKey]:
    """Make a witness called ``name`` in ``folder``, with a key for each of ``algorithms``; return its verifier keys.

    Raises ConfigError when there is anything in the folder, or this machine cannot make such a key.
    """
    try:
        check_name(name)
    except MalformedError as error:
        raise ConfigError(f"cannot call a witness {name!r}: {error}") from error
    path = os.path.abspath(folder)
    with files.explained(path, "make a witness in"):
        os.makedirs(path, 0o700, exist_ok=True)
        files.refuse_network(path)
        if os.listdir(path):
            raise ConfigError(f"{path} is not empty: name a new folder, because a witness in use must not be replaced")
        cosigners = [Cosigner(name=name, key=_generate(algorithm)) for algorithm in algorithms]
        for algorithm, cosigner in zip(algorithms, cosigners, strict=True):
            pem = cosigner.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            files.replace(f"{path}/{algorithm}.pem", pem, f"{path}/spare", mode=files.PRIVATE, durable=True)
        keys = [cosigner.verifier_key for cosigner in cosigners]
        files.replace(f"{path}/witness.json", _spell(name, keys), f"{path}/spare", durable=True)
        files.make_folders(f"{path}/logs")
        files.sync_folder(os.path.dirname(path))
    return keys


def _load(folder: str) -> Sequence[Cosigner]:
    data = files.read(f"{folder}/witness.json")
    if data is None or not os.path.isdir(f"{folder}/logs"):
        raise ConfigError(f"{folder} holds no witness: restore it, or make a new one with a new key")
    try:
        fields = Fields(parse_canonical_json(data), "witness.json")
        fields.one_of("version", VERSION)
        name, vkeys = fields.text("name"), list(fields.items("vkeys"))
        fields.end()
    except MalformedError as error:
        raise ConfigError(f"{folder} holds a witness that this version cannot read: {error}") from error
    found = [f"{folder}/{algorithm}.pem" for algorithm in ALGORITHMS if os.path.exists(f"{folder}/{algorithm}.pem")]
    cosigners = [Cosigner(name=name, key=_key(path)) for path in found]
    if [str(cosigner.verifier_key) for cosigner in cosigners] != vkeys or not cosigners:
        raise ConfigError(f"the keys in {folder} are not those of its witness.json: restore them")
    return cosigners


def _key(path: str) -> CosignerKey:
    try:
        key = load_pem_private_key(files.read(path) or b"", password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"expected an unencrypted private key in {path}, of a kind this machine can use") from error
    if isinstance(key, Ed25519PrivateKey):
        return key
    if not isinstance(key, _mldsa44()):
        raise ConfigError(f"expected an Ed25519 or ML-DSA-44 key in {path}")
    return cast("CosignerKey", key)


def _generate(algorithm: str) -> CosignerKey:
    key: CosignerKey = Ed25519PrivateKey.generate() if algorithm == "ed25519" else _mldsa44().generate()
    return key


def _mldsa44() -> Any:  # noqa: ANN401 - a class that an older cryptography does not have
    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
    except ImportError as error:
        raise ConfigError("this machine's cryptography has no ML-DSA-44: install a newer one") from error
    return MLDSA44PrivateKey


def _spell(name: str, keys: Sequence[VerifierKey]) -> bytes:
    document: JsonObject = {"name": name, "version": VERSION, "vkeys": [str(key) for key in keys]}
    return canonical_json(document)


def _refused(status: int, reason: str) -> Answer:
    return Answer(status=status, body=f"{reason}\n".encode())
