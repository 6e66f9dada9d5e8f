"""What Rekor's first version logs of a signature, is told and answers.

Its leaf says what ours says, in another spelling, and is also the request to log it::

    {"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"<hex>"}},
    "signature":{"content":"<base64>","publicKey":{"content":"<base64 of PEM>"}}}}

The PEM is of a public key, or of the certificate of a signer that has one.
It answers with one entry, named by its tree and its leaf hash, and signs twice: a checkpoint that covers it, and the
promise (SET) that it was there at a time, over ``body``, ``integratedTime``, ``logID`` and ``logIndex``::

    {"<tree id and leaf hash>":{"body":"<base64>","integratedTime":1764000000,"logID":"<hex>","logIndex":1007,
    "verification":{"inclusionProof":{"checkpoint":"rekor.example - 42…","hashes":["<hex>"],"logIndex":7,
    "rootHash":"<hex>","treeSize":9},"signedEntryTimestamp":"<base64>"}}}

A log of several trees (shards) counts entries twice: ``logIndex`` outside goes on from tree to tree, the one inside
begins anew in each.

See: sigstore/rekor, ``openapi.yaml``, ``pkg/types/hashedrekord/v0.0.1``; RFC 8785.
"""

import re
from dataclasses import dataclass, replace
from textwrap import wrap

from airflow_provider_atlas import merkle
from airflow_provider_atlas.encoding import (
    Fields,
    Json,
    JsonObject,
    b64decode,
    b64encode,
    canonical_json,
    parse_canonical_json,
    parse_hex,
    parse_json,
)
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tlog.checkpoint import MAX_SIZE, SignedCheckpoint
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.note import SignedNote, VerifierKey
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.rekor import MAX_RESPONSE_BYTES
from airflow_provider_atlas.tlog.tile import MAX_ENTRY_BYTES

_HASHES = 63  # the height of a tree of 2^63 leaves
_KEY, _CERTIFICATE = "PUBLIC KEY", "CERTIFICATE"
_PEM = re.compile(rb"-----BEGIN (PUBLIC KEY|CERTIFICATE)-----\n([A-Za-z0-9+/=\n]+)\n-----END [A-Z ]+-----\n")
_TREE = re.compile(r"[^ ]+ - ([0-9]{1,19})", re.ASCII)
_NAME = re.compile(r"(?:[0-9a-f]{16})?([0-9a-f]{64})", re.ASCII)


def leaf(record: HashedRekord) -> bytes:
    """Return what Rekor v1 logs of ``record``, which is also the request to log it (hashedrekord 0.0.1)."""
    pem = _to_pem(_CERTIFICATE, record.certificate) if record.certificate else _to_pem(_KEY, record.spki)
    key: JsonObject = {"content": b64encode(pem)}
    signature: JsonObject = {"content": b64encode(record.signature), "publicKey": key}
    data: JsonObject = {"hash": {"algorithm": "sha256", "value": record.digest.hex()}}
    return canonical_json(
        {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {"data": data, "signature": signature}}
    )


def parse_leaf(data: bytes) -> HashedRekord:
    """Return the record that ``leaf`` gave as ``data``. Raises MalformedError for any other bytes."""
    if len(data) > MAX_ENTRY_BYTES:
        raise MalformedError(f"expected a log entry of at most {MAX_ENTRY_BYTES} bytes")
    spec = Fields(parse_canonical_json(data), "the log entry").fields("spec")
    digest = parse_hex(spec.fields("data").fields("hash").text("value"), 32)
    signature = spec.fields("signature")
    content = b64decode(signature.text("content"))
    label, raw = _from_pem(b64decode(signature.fields("publicKey").text("content")))
    named = {"certificate" if label == _CERTIFICATE else "spki": raw}
    record = HashedRekord(digest=digest, signature=content, **named)
    if not content or leaf(record) != data:
        raise MalformedError("expected a hashedrekord 0.0.1 of a SHA-256, a signature, and a public key or certificate")
    return record


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """That an entry was in the log, under ``index`` across its trees, at ``time`` (seconds since 1970): the SET.

    In a receipt it is the extra data. Nothing here is to be believed before ``check``.
    """

    index: int
    time: int
    signature: bytes

    @classmethod
    def parse(cls, data: bytes) -> "Promise":
        """Return the promise in ``data``, canonical JSON. Raises MalformedError when it is none."""
        fields = Fields(parse_canonical_json(data), "the promise")
        promise = cls(
            index=_count(fields.any("logIndex")),
            time=_count(fields.any("integratedTime")),
            signature=b64decode(fields.text("signedEntryTimestamp")),
        )
        fields.end()
        return promise

    def to_bytes(self) -> bytes:
        """Return the promise in its one spelling."""
        signature = b64encode(self.signature)
        return canonical_json({"integratedTime": self.time, "logIndex": self.index, "signedEntryTimestamp": signature})

    def check(self, entry: bytes, key: VerifierKey) -> None:
        """Check that the log of ``key`` promised this of the leaf ``entry``. Raises SignatureError when it did not."""
        message = canonical_json(
            {
                "body": b64encode(entry),
                "integratedTime": self.time,
                "logID": key.key_hash.hex(),
                "logIndex": self.index,
            }
        )
        key.verify_bytes(self.signature, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """What a log says it holds: ``body`` (the leaf's bytes), the proof of it, and the log's id (32 bytes).

    A promise, where the log gave one, is the extra data of ``receipt``. Nothing here is to be believed before
    ``TrustedLog.check``.
    """

    body: bytes
    receipt: Receipt
    log_id: bytes

    @classmethod
    def parse(cls, data: bytes) -> "LogEntry":
        """Return the one entry in ``data``, an answer of Rekor v1. Raises MalformedError when it contradicts itself.

        Members that are not needed to check the proof are left out: they are others' to define.
        """
        if len(data) > MAX_RESPONSE_BYTES:
            raise MalformedError(f"expected a log entry of at most {MAX_RESPONSE_BYTES} bytes")
        entries = parse_json(data)
        if not isinstance(entries, dict) or len(entries) != 1:
            raise MalformedError("expected an answer with one log entry")
        ((name, entry),) = entries.items()
        fields = Fields(entry, "the log entry")
        body = b64decode(fields.text("body"))
        if leaf_hash_in(name) != merkle.leaf_hash(body):
            raise MalformedError("expected a log entry to be named by its leaf hash")
        verification = fields.object("verification")
        promise = _parse_promise(fields, verification)
        receipt = _parse_proof(Fields(verification, "the verification").fields("inclusionProof"))
        receipt = replace(receipt, extra=promise.to_bytes() if promise else b"")
        return cls(body=body, receipt=receipt, log_id=parse_hex(fields.text("logID"), 32))


def parse_head(data: bytes) -> SignedCheckpoint:
    """Return the checkpoint in ``data``, what Rekor v1 says of its active tree. Raises MalformedError.

    It is not to be believed before ``SignedCheckpoint.verify``.
    """
    return SignedCheckpoint.parse(Fields(parse_json(data), "the log's head").text("signedTreeHead").encode())


def parse_consistency(data: bytes) -> tuple[bytes, ...]:
    """Return the consistency proof in ``data``, an answer of Rekor v1. Raises MalformedError when it is none."""
    return _hashes(Fields(parse_json(data), "the consistency proof"))


def leaf_hash_in(name: str) -> bytes:
    """Return the leaf hash in ``name``, by which Rekor v1 calls an entry, with or without the id of its tree before it.

    Raises MalformedError when it is no such name.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise MalformedError("expected the name of an entry: its leaf hash in hex, behind the id of its tree")
    return bytes.fromhex(found[1])


def tree_of(origin: str) -> str:
    """Return the id of the tree whose checkpoints begin with ``origin``, ``host - tree id``. Raises MalformedError."""
    found = _TREE.fullmatch(origin)
    if found is None:
        raise MalformedError("expected the origin of a tree of Rekor v1: host - tree id")
    return found[1]


def _parse_promise(entry: Fields, verification: JsonObject) -> Promise | None:
    if not verification.get("signedEntryTimestamp"):
        return None
    signature = Fields(verification, "the verification").text("signedEntryTimestamp")
    index, time = _count(entry.any("logIndex")), _count(entry.any("integratedTime"))
    return Promise(index=index, time=time, signature=b64decode(signature))


def _parse_proof(fields: Fields) -> Receipt:
    """Return the proof as a receipt; what it says twice it must say alike."""
    note = SignedNote.parse(fields.text("checkpoint").encode())
    claimed = Receipt(index=_count(fields.any("logIndex")), hashes=_hashes(fields), note=note)
    receipt = Receipt.parse(claimed.to_bytes())  # with the limits that every receipt is held to
    root, size = parse_hex(fields.text("rootHash"), 32), _count(fields.any("treeSize"))
    if (receipt.checkpoint.root, receipt.checkpoint.size) != (root, size):
        raise MalformedError("expected the root and size of an inclusion proof to be those of its checkpoint")
    return receipt


def _hashes(fields: Fields) -> tuple[bytes, ...]:
    hashes = fields.items("hashes")
    if len(hashes) > _HASHES:
        raise MalformedError(f"expected a proof of at most {_HASHES} hashes")
    return tuple(parse_hex(digest if isinstance(digest, str) else "", 32) for digest in hashes)


def _count(value: Json) -> int:
    if type(value) is not int or not 0 <= value <= MAX_SIZE:
        raise MalformedError("expected an index, a size or a time that is not negative")
    return value


def _to_pem(label: str, der: bytes) -> bytes:
    lines = wrap(b64encode(der), 64)
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def _from_pem(pem: bytes) -> tuple[str, bytes]:
    found = _PEM.fullmatch(pem)
    label, der = (found[1].decode(), b64decode(found[2].replace(b"\n", b"").decode())) if found else (_KEY, b"")
    if not der or _to_pem(label, der) != pem:
        raise MalformedError("expected a public key or a certificate in PEM, in its one spelling")
    return label, der
