"""What Rekor v2 is told and answers: a signature to log, and the entry of the log that it became.

::

    {"hashedRekordRequestV002":{"digest":"<base64>","signature":{"content":"<base64>","verifier":{
    "keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"<base64>"}}}}}

    {"canonicalizedBody":"<base64>","inclusionPromise":null,"inclusionProof":{"checkpoint":{"envelope":"log.example…"},
    "hashes":["<base64>"],"logIndex":"3","rootHash":"<base64>","treeSize":"4"},"integratedTime":"0",
    "kindVersion":{"kind":"hashedrekord","version":"0.0.2"},"logId":{"keyId":"<base64>"},"logIndex":"3"}

See: rekor-tiles, ``rekor_service.proto`` (``CreateEntryRequest``); Sigstore protobuf-specs, ``sigstore_rekor.proto``
(``TransparencyLogEntry``); protojson, which spells 64-bit integers as strings.
"""

from dataclasses import dataclass

from airflow_provider_atlas.encoding import (
    Fields,
    Json,
    JsonObject,
    b64decode,
    b64encode,
    canonical_json,
    parse_decimal,
    parse_json,
)
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord, parse_signature
from airflow_provider_atlas.tlog.note import SignedNote
from airflow_provider_atlas.tlog.receipt import Receipt

MAX_REQUEST_BYTES = 65_536
"""The largest request that is looked at. A request of ours has 450 bytes; an entry may have 65,535."""

MAX_RESPONSE_BYTES = 2 << 20
"""The largest answer that is looked at: an entry and a note of the largest sizes, in base64."""

_REQUEST = "hashedRekordRequestV002"
_KIND, _VERSION = "hashedrekord", "0.0.2"


def request(leaf: HashedRekord) -> bytes:
    """Return the request to log ``leaf``."""
    return canonical_json({_REQUEST: {"digest": b64encode(leaf.digest), "signature": leaf.signature_json()}})


def parse_request(data: bytes) -> HashedRekord:
    """Return the leaf that the request ``data`` asks for, in any spelling of its JSON; its signature is unverified.

    Raises MalformedError when it is no such request. Keys other than P-256 are none here.
    """
    if len(data) > MAX_REQUEST_BYTES:
        raise MalformedError(f"expected a request of at most {MAX_REQUEST_BYTES} bytes")
    outer = Fields(parse_json(data), "the request")
    fields = outer.fields(_REQUEST)
    outer.end()
    digest, signature = b64decode(fields.text("digest")), fields.fields("signature")
    fields.end()
    if len(digest) != 32:
        raise MalformedError("expected a SHA-256 digest in the request")
    return HashedRekord(digest=digest, **parse_signature(signature))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """What a log says it holds: ``body`` (the leaf's bytes), the proof of it, and the log's id (32 bytes).

    Nothing here is to be believed before ``receipt.check``.
    """

    body: bytes
    receipt: Receipt
    log_id: bytes

    @classmethod
    def parse(cls, data: bytes) -> "LogEntry":
        """Return the entry in ``data``, in any spelling of protojson. Raises MalformedError when it contradicts itself.

        Members that are not needed to check the proof are left out: they are others' to define.
        """
        if len(data) > MAX_RESPONSE_BYTES:
            raise MalformedError(f"expected a log entry of at most {MAX_RESPONSE_BYTES} bytes")
        fields = _proto(parse_json(data), "the log entry", {"logIndex": "0"})
        kind = fields.fields("kindVersion")
        kind.one_of("kind", _KIND)
        kind.one_of("version", _VERSION)
        receipt = _parse_proof(fields.object("inclusionProof"))
        if _integer(fields.any("logIndex")) != receipt.index:
            raise MalformedError("expected the index of a log entry to be that of its proof")
        body, log_id = b64decode(fields.text("canonicalizedBody")), b64decode(fields.fields("logId").text("keyId"))
        return cls(body=body, receipt=receipt, log_id=log_id)

    def to_bytes(self) -> bytes:
        """Return the entry as protojson, with every member that others expect, in canonical JSON."""
        checkpoint, index = self.receipt.checkpoint, str(self.receipt.index)
        proof: JsonObject = {
            "checkpoint": {"envelope": self.receipt.note.to_bytes().decode()},
            "hashes": [b64encode(digest) for digest in self.receipt.hashes],
            "logIndex": index,
            "rootHash": b64encode(checkpoint.root),
            "treeSize": str(checkpoint.size),
        }
        return canonical_json(
            {
                "canonicalizedBody": b64encode(self.body),
                "inclusionPromise": None,
                "inclusionProof": proof,
                "integratedTime": "0",
                "kindVersion": {"kind": _KIND, "version": _VERSION},
                "logId": {"keyId": b64encode(self.log_id)},
                "logIndex": index,
            }
        )


def _parse_proof(value: Json) -> Receipt:
    """Return the proof as a receipt; what it says twice it must say alike."""
    fields = _proto(value, "the inclusion proof", {"logIndex": "0", "hashes": []})
    note = SignedNote.parse(fields.fields("checkpoint").text("envelope").encode())
    hashes = tuple(b64decode(_text(digest)) for digest in fields.items("hashes"))
    claimed = Receipt(index=_integer(fields.any("logIndex")), hashes=hashes, note=note)
    receipt = Receipt.parse(claimed.to_bytes())  # with the limits that every receipt is held to
    checkpoint = receipt.checkpoint
    root, size = b64decode(fields.text("rootHash")), _integer(fields.any("treeSize"))
    if (checkpoint.root, checkpoint.size) != (root, size):
        raise MalformedError("expected the root and size of an inclusion proof to be those of its checkpoint")
    return receipt


def _proto(value: Json, what: str, defaults: JsonObject) -> Fields:
    """Return ``value`` at the doorstep; protojson leaves out members that have their default."""
    return Fields({**defaults, **value} if isinstance(value, dict) else value, what)


def _integer(value: Json) -> int:
    """Return a 64-bit integer of protojson: as a string, or as the number that readers must accept too."""
    if type(value) is int and value >= 0:
        return value
    return parse_decimal(_text(value))


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise MalformedError("expected a string")
    return value
