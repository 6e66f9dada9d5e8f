r"""AttestationBundle: the only bridge between making evidence and judging it. And what of it is logged.

::

    {"mediaType": "application/vnd.atlas.bundle.v1+json",
     "verificationMaterial": {"publicKey": "MFkw…"},
     "envelopes": {"link": {…}, "provenance": {…}, "tee": {…}},
     "evidence": {"tee": "tdx", "provider": "simulated", "mediaType": "…", "quote": "BAAC…", "endorsements": […],
                  "binding": {…}},  and "batch" or "timestamp" where the binding is of a batch or a session
     "receipts": {"link": "c2sp.org/tlog-proof@v1\n…", …},
     "timestamps": {"link": "MIIE…"}}

Where a worker has no key of its own, ``verificationMaterial`` is ``{"certificate": "MIIC…"}``, and has a
``startCertificate`` beside it when the start was signed with an older one.

A bundle holds the record of one try (``link``, ``provenance``, and where they exist ``start`` and ``tee``), a start
alone, or a run's ``manifest``. Nothing in it is believed: the key is a hint, and a policy says whose keys count.
See: ``docs/format.md`` §2, ``docs/bundle.schema.json``. Canonical JSON (RFC 8785).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider_atlas.encoding import (
    Fields,
    Json,
    JsonObject,
    b64decode,
    b64encode,
    canonical_json,
    parse_json,
    sha256_hex,
)
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.intoto.scai import quote_descriptor, tee_statement
from airflow_provider_atlas.intoto.statement import Statement
from airflow_provider_atlas.signing.certificate import Certificate
from airflow_provider_atlas.signing.dsse import Envelope
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.tee.binding import Binding
from airflow_provider_atlas.tee.evidence import Evidence
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.timestamp import MAX_TIMESTAMP_BYTES

MEDIA_TYPE = "application/vnd.atlas.bundle.v1+json"
"""The media type of a bundle of version 1."""

MAX_BUNDLE_SIZE = 64 << 20
"""The largest bundle that is read, in bytes."""

Role = Literal["start", "link", "provenance", "tee", "manifest"]
"""What an envelope is in its bundle."""

_SHAPES: tuple[frozenset[Role], ...] = (
    frozenset({"start"}),
    frozenset({"manifest"}),
    frozenset({"link", "provenance"}),
    frozenset({"link", "provenance", "tee"}),
    frozenset({"start", "link", "provenance"}),
    frozenset({"start", "link", "provenance", "tee"}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundEvidence:
    """Evidence and the preimage of the report data that it carries.

    Of a session, ``timestamp`` is an authority's word on when it saw the key, unread, or None where there was none;
    the nonce then commits to it (``tee.binding.session_nonce``). All else has None.
    """

    evidence: Evidence
    binding: Binding
    timestamp: bytes | None = None

    @classmethod
    def parse(cls, value: Json) -> "BoundEvidence":
        """Return the evidence that ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "the evidence")
        binding = Binding.parse(fields.object("binding"))
        evidence = Evidence.take(fields)
        if (evidence.batch is not None) != (binding.purpose == "batch"):
            raise MalformedError("expected the proof of a batch exactly where the binding is for one")
        bound = cls(
            evidence=evidence,
            binding=binding,
            timestamp=_session_timestamp(fields) if binding.purpose == "session" else None,
        )
        fields.end()
        return bound

    def to_json(self) -> JsonObject:
        """Return the JSON object of this evidence: ``timestamp`` exactly where the purpose has one."""
        own: JsonObject = {}
        if self.binding.purpose == "session":
            own = {"timestamp": b64encode(self.timestamp) if self.timestamp is not None else None}
        return {**self.evidence.to_json(), **own, "binding": self.binding.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationBundle:
    """Envelopes by role, all by one key; the TEE's evidence for the link; a receipt for each logged envelope.

    A key that lives for some minutes has a ``certificate``. A task may outlive it: its start was then signed with the
    key of ``start_certificate``, which is None where that is no other. ``timestamps`` are an authority's word on when
    it saw the signature of an envelope (RFC 3161, DER), unread.
    A bundle without receipts is a record that its log has not seen yet.
    """

    envelopes: Mapping[Role, Envelope]
    public_key: PublicKey
    bound_evidence: BoundEvidence | None = None
    receipts: Mapping[Role, Receipt] = field(default_factory=dict)
    timestamps: Mapping[Role, bytes] = field(default_factory=dict)
    certificate: Certificate | None = None
    start_certificate: Certificate | None = None

    @classmethod
    def parse(cls, content: bytes) -> "AttestationBundle":
        """Return the bundle in ``content``. Raises MalformedError when it is not one, in its one spelling."""
        if len(content) > MAX_BUNDLE_SIZE:
            raise MalformedError(f"expected a bundle of at most {MAX_BUNDLE_SIZE} bytes")
        fields = Fields(parse_json(content), "the bundle")
        fields.one_of("mediaType", MEDIA_TYPE)
        bundle = cls(
            envelopes={_role(name): Envelope.parse(value) for name, value in fields.object("envelopes").items()},
            **_parse_material(fields.fields("verificationMaterial")),
            bound_evidence=fields.optional("evidence", lambda name: BoundEvidence.parse(fields.object(name))),
            receipts={_role(name): _parse_receipt(value) for name, value in fields.object("receipts").items()},
            timestamps={_role(name): _parse_timestamp(value) for name, value in fields.object("timestamps").items()},
        )
        fields.end()
        bundle.check_shape()
        if bundle.to_bytes() != content:
            raise MalformedError("expected the bundle in its one spelling, canonical JSON")
        return bundle

    def check_shape(self) -> None:
        """Raise MalformedError unless the envelopes belong together, and evidence and receipts belong to them."""
        roles = frozenset(self.envelopes)
        if roles not in _SHAPES or not self.receipts.keys() | self.timestamps.keys() <= roles:
            raise MalformedError("expected the envelopes of one record, and receipts and time-stamps of these alone")
        if ("tee" in roles) != (self.bound_evidence is not None):
            raise MalformedError("expected evidence exactly where a tee envelope states it")
        if self.start_certificate is not None and not {"start", "link"} <= roles:
            raise MalformedError("expected a certificate of the start beside a start that a link ends")

    def to_bytes(self) -> bytes:
        """Return this bundle in canonical JSON."""
        return canonical_json(
            {
                "mediaType": MEDIA_TYPE,
                "verificationMaterial": self._material(),
                "envelopes": {role: envelope.to_json() for role, envelope in self.envelopes.items()},
                "evidence": self.bound_evidence.to_json() if self.bound_evidence else None,
                "receipts": {role: receipt.to_bytes().decode("utf-8") for role, receipt in self.receipts.items()},
                "timestamps": {role: b64encode(timestamp) for role, timestamp in self.timestamps.items()},
            }
        )

    def certificate_of(self, role: Role) -> Certificate | None:
        """Return the certificate of the key that signed the envelope ``role``, or None where a lasting key did."""
        return self.start_certificate or self.certificate if role == "start" else self.certificate

    def key_of(self, role: Role) -> PublicKey:
        """Return the key that is said to have signed the envelope ``role``."""
        certificate = self.certificate_of(role)
        return certificate.public_key if certificate else self.public_key

    def log_entry(self, role: Role) -> bytes:
        """Return what is logged of the envelope ``role``: see ``log_entry``."""
        return log_entry(self.envelopes[role], self.certificate_of(role) or self.public_key)

    def _material(self) -> JsonObject:
        if self.certificate is None:
            return {"publicKey": b64encode(self.public_key.spki)}
        material = {"certificate": b64encode(self.certificate.der)}
        if self.start_certificate is not None:
            material["startCertificate"] = b64encode(self.start_certificate.der)
        return material


def log_entry(envelope: Envelope, signer: PublicKey | Certificate) -> bytes:
    """Return what is logged of ``envelope``: a Rekor v2 hashedrekord, so digests, a signature and a key; no content.

    ``signer`` is the key, or the certificate of it where it has one.
    """
    named = {"certificate": signer.der} if isinstance(signer, Certificate) else {"spki": signer.spki}
    digest = hashlib.sha256(envelope.pae).digest()
    return HashedRekord(digest=digest, signature=envelope.signature, **named).to_bytes()


def vouching_statement(step: str, envelope: Envelope, bound: BoundEvidence) -> Statement:
    """Return the SCAI statement that ``bound`` vouches for the link of ``step`` in ``envelope``."""
    evidence = bound.evidence
    return tee_statement(
        step=step,
        link_envelope_sha256=envelope.sha256,
        tee=evidence.tee,
        provider=evidence.provider,
        evidence=quote_descriptor(media_type=evidence.media_type, sha256=sha256_hex(evidence.quote)),
        binding=bound.binding.to_json(),
    )


def _role(name: str) -> Role:
    match name:
        case "start" | "link" | "provenance" | "tee" | "manifest":
            return name
        case _:
            raise MalformedError("expected the envelopes start, link, provenance, tee or manifest")


def _session_timestamp(fields: Fields) -> bytes | None:
    return fields.optional("timestamp", lambda name: _parse_timestamp(fields.any(name)))


def _parse_material(material: Fields) -> dict[str, Any]:
    if material.has("publicKey"):
        key = PublicKey.parse(b64decode(material.text("publicKey")))
        material.end()
        return {"public_key": key}
    certificate = Certificate.parse(b64decode(material.text("certificate")))
    start = None
    if material.has("startCertificate"):
        start = Certificate.parse(b64decode(material.text("startCertificate")))
        if start == certificate:
            raise MalformedError("expected a certificate of the start only where it is another than the link's")
    material.end()
    return {"public_key": certificate.public_key, "certificate": certificate, "start_certificate": start}


def _parse_receipt(value: Json) -> Receipt:
    if not isinstance(value, str):
        raise MalformedError("expected a receipt to be the text of a tlog-proof")
    return Receipt.parse(value.encode("utf-8"))


def _parse_timestamp(value: Json) -> bytes:
    timestamp = b64decode(value) if isinstance(value, str) else b""
    if not 0 < len(timestamp) <= MAX_TIMESTAMP_BYTES:
        raise MalformedError(f"expected a time-stamp to be the base64 of 1 to {MAX_TIMESTAMP_BYTES} bytes")
    return timestamp
