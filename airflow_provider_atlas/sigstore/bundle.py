r"""A Sigstore bundle: one logged envelope, with all that Sigstore's own tools need to verify it offline.

::

    {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
     "verificationMaterial": {
       "publicKey": {"hint": "<base64 of the SHA-256 of the SubjectPublicKeyInfo>"},
       "tlogEntries": [{
         "logIndex": "4", "logId": {"keyId": "<base64>"}, "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
         "inclusionProof": {"logIndex": "4", "rootHash": "<base64>", "treeSize": "7", "hashes": ["<base64>", …],
                            "checkpoint": {"envelope": "atlas.example.org/log\n7\n…"}},
         "canonicalizedBody": "<base64>"}],
       "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": "<base64>"}]}},
     "dsseEnvelope": {"payload": "…", "payloadType": "application/vnd.in-toto+json", "signatures": […]}}

The last member of the material is there where an authority stamped the envelope's signature. Of a signer that has a
certificate, ``"certificate": {"rawBytes": "<base64>"}`` stands in the place of ``publicKey``. An entry of Rekor v1 has
version 0.0.1, and its promise as ``inclusionPromise`` and ``integratedTime``.

Nothing is logged again for it: the leaf is Rekor's, and a receipt is its inclusion proof in another spelling.

See: sigstore/protobuf-specs, ``sigstore_bundle.proto`` and ``sigstore_rekor.proto`` in protobuf's JSON, where 64-bit
integers are strings. Of the many spellings that JSON allows, ours is canonical (RFC 8785).
"""

import hashlib
from dataclasses import dataclass, replace

from airflow_provider_atlas.bundle import MAX_BUNDLE_SIZE, log_entry
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
from airflow_provider_atlas.signing.certificate import Certificate
from airflow_provider_atlas.signing.dsse import Envelope
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.tlog import rekor_v1
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.note import SignedNote
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.trust import Entries, TrustedLog, leaf_of

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
"""The media type of the bundles that are written here."""

_STAMPED = "timestampVerificationData"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigstoreBundle:
    """An envelope, who signed it, and the receipt of a log whose key has the hash ``log_id`` (32 bytes).

    ``signer`` is the key, or the certificate of it where it has one; ``entries`` is the kind of leaf that the log has.
    ``timestamp`` (TimeStampResp, RFC 3161, DER) is over the signature, and nobody looks into it here. Nothing else has
    been verified either, unless ``of`` made it.
    """

    envelope: Envelope
    signer: PublicKey | Certificate
    receipt: Receipt
    log_id: bytes
    timestamp: bytes | None = None
    entries: Entries = "hashedrekord 0.0.2"

    @classmethod
    def of(
        cls, envelope: Envelope, signer: PublicKey | Certificate, receipt: Receipt, log: TrustedLog
    ) -> "SigstoreBundle":
        """Return the bundle of ``envelope``, which ``signer`` signed and ``log`` holds; without a time-stamp.

        Raises SignatureError or InclusionError where it does not: a bundle that no tool accepts helps nobody.
        """
        envelope.verify(_key_of(signer), envelope.payload_type)
        log.check(receipt, log_entry(envelope, signer))
        # Of what an extra says a Sigstore bundle has a place for the promise of Rekor v1 alone.
        receipt = receipt if log.entries == "hashedrekord 0.0.1" else replace(receipt, extra=b"")
        return cls(envelope=envelope, signer=signer, receipt=receipt, log_id=log.key.key_hash, entries=log.entries)

    @classmethod
    def parse(cls, content: bytes) -> "SigstoreBundle":
        """Return the bundle that ``to_bytes`` gave as ``content``. Raises MalformedError for any other bytes.

        So for bundles of other makers too: they may be right, and have a spelling, a signer or a log of another kind.
        """
        if len(content) > MAX_BUNDLE_SIZE:
            raise MalformedError(f"expected a Sigstore bundle of at most {MAX_BUNDLE_SIZE} bytes")
        fields = Fields(parse_json(content), "the Sigstore bundle")
        material = fields.object("verificationMaterial")
        entries = Fields(material, "the verification material").items("tlogEntries")
        if len(entries) != 1:
            raise MalformedError("expected a Sigstore bundle with one log entry")
        entry = Fields(entries[0], "the log entry")
        version, body = entry.fields("kindVersion").one_of("version", "0.0.1", "0.0.2"), entry.text("canonicalizedBody")
        parse_leaf = HashedRekord.parse if version == "0.0.2" else rekor_v1.parse_leaf
        bundle = cls(
            envelope=Envelope.parse(fields.object("dsseEnvelope")),
            signer=_signer_in(parse_leaf(b64decode(body))),
            receipt=replace(_parse_proof(entry.fields("inclusionProof")), extra=_parse_promise(entries[0])),
            entries="hashedrekord 0.0.2" if version == "0.0.2" else "hashedrekord 0.0.1",
            log_id=b64decode(entry.fields("logId").text("keyId")),
            timestamp=_parse_timestamp(material[_STAMPED]) if _STAMPED in material else None,
        )
        bundle._check(content)
        return bundle

    def to_bytes(self) -> bytes:
        """Return the bundle in canonical JSON."""
        kind, _, version = self.entries.partition(" ")
        entry: JsonObject = {
            "logIndex": str(self.receipt.index),
            "logId": {"keyId": b64encode(self.log_id)},
            "kindVersion": {"kind": kind, "version": version},
            "inclusionProof": _proof(self.receipt),
            "canonicalizedBody": b64encode(leaf_of(log_entry(self.envelope, self.signer), self.entries)),
            **(_promise(self.receipt.extra) if self.receipt.extra else {}),
        }
        material: dict[str, Json] = {**_named(self.signer), "tlogEntries": [entry]}
        if self.timestamp is not None:
            material[_STAMPED] = {"rfc3161Timestamps": [{"signedTimestamp": b64encode(self.timestamp)}]}
        return canonical_json(
            {
                "mediaType": MEDIA_TYPE,
                "verificationMaterial": material,
                "dsseEnvelope": self.envelope.to_json(),
            }
        )

    def _check(self, content: bytes) -> None:
        # What is said twice (the index, the root, the key's hint) agrees with itself, or this is not how it is spelled.
        if len(self.log_id) != 32 or all(line.key_id != self.log_id[:4] for line in self.receipt.note.signatures):
            raise MalformedError("expected a Sigstore bundle whose log signed the checkpoint")
        if self.envelope.keyid != _key_of(self.signer).keyid:
            raise MalformedError("expected a Sigstore bundle whose envelope names the key of its log entry")
        if self.to_bytes() != content:
            raise MalformedError("expected the Sigstore bundle in its one spelling, canonical JSON")


def key_hint(key: PublicKey) -> str:
    """Return how a bundle names ``key``: as protobuf-specs recommend, the base64 of RFC 6962's id of a key."""
    return b64encode(hashlib.sha256(key.spki).digest())


def _key_of(signer: PublicKey | Certificate) -> PublicKey:
    return signer.public_key if isinstance(signer, Certificate) else signer


def _named(signer: PublicKey | Certificate) -> JsonObject:
    if isinstance(signer, Certificate):
        return {"certificate": {"rawBytes": b64encode(signer.der)}}
    return {"publicKey": {"hint": key_hint(signer)}}


def _signer_in(leaf: HashedRekord) -> PublicKey | Certificate:
    return Certificate.parse(leaf.certificate) if leaf.certificate else PublicKey.parse(leaf.spki)


def _proof(receipt: Receipt) -> JsonObject:
    checkpoint = receipt.checkpoint
    return {
        "logIndex": str(receipt.index),
        "rootHash": b64encode(checkpoint.root),
        "treeSize": str(checkpoint.size),
        "hashes": list(map(b64encode, receipt.hashes)),
        "checkpoint": {"envelope": receipt.note.to_bytes().decode("utf-8")},
    }


def _promise(extra: bytes) -> JsonObject:
    promise = rekor_v1.Promise.parse(extra)
    return {
        "logIndex": str(promise.index),  # across the log's trees; that of the proof is within one
        "integratedTime": str(promise.time),
        "inclusionPromise": {"signedEntryTimestamp": b64encode(promise.signature)},
    }


def _parse_promise(entry: Json) -> bytes:
    """Return the promise of ``entry`` as a receipt holds it, or nothing where there is none."""
    fields = Fields(entry, "the log entry")
    if not isinstance(entry, dict) or "inclusionPromise" not in entry:
        return b""
    promise = rekor_v1.Promise(
        index=parse_decimal(fields.text("logIndex")),
        time=parse_decimal(fields.text("integratedTime")),
        signature=b64decode(fields.fields("inclusionPromise").text("signedEntryTimestamp")),
    )
    return promise.to_bytes()


def _parse_proof(proof: Fields) -> Receipt:
    hashes = proof.items("hashes")
    receipt = Receipt(
        index=parse_decimal(proof.text("logIndex")),
        hashes=tuple(b64decode(item) if isinstance(item, str) else b"" for item in hashes),
        note=SignedNote.parse(proof.fields("checkpoint").text("envelope").encode("utf-8")),
    )
    # The limits of a receipt are its own: how many hashes, how long each, how large an index.
    return Receipt.parse(receipt.to_bytes())


def _parse_timestamp(data: Json) -> bytes:
    timestamps = Fields(data, "the time-stamps").items("rfc3161Timestamps")
    if len(timestamps) != 1:
        raise MalformedError("expected a Sigstore bundle with one time-stamp, or with none")
    return b64decode(Fields(timestamps[0], "the time-stamp").text("signedTimestamp"))
