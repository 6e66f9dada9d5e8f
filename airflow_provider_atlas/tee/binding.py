r"""What a quote commits to. To change this file is to change the protocol.

``report_data = SHA-512("atlas-tee-report-data-v1\0" ‖ JCS(preimage))``, 64 bytes, with the preimage below.
The ``beacon`` is a log checkpoint seen before the work began: nobody can know its root earlier, so it bounds the
quote's age from below, as inclusion in the log bounds it from above.

What a quote commits to depends on the ``purpose``, the attester's mode:

``task``     one quote for one record
``session``  one quote for a key that a worker made; it says nothing of the single record, so ``statement`` is None
``batch``    one quote for many records, each with a binding of its own (``tee.batch``)

See: ``docs/format.md`` §5.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Literal, cast, get_args

from airflow_provider_atlas.encoding import Fields, Json, JsonObject, canonical_json, parse_hex
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.intoto.beacon import Beacon

_DOMAIN = b"atlas-tee-report-data-v1\0"
_VERSION = 1

Purpose = Literal["task", "session", "batch"]
"""What a quote is for: see above."""

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
"""Every purpose."""

NONCE_SIZE = 16
"""The size of a nonce, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The preimage of a quote's report data.

    ``statement`` is the SHA-256 of the link's payload, None for a session; ``key`` that of the signing key's
    SubjectPublicKeyInfo (DER), 32 bytes each. ``nonce`` (16 bytes) and ``beacon`` are the link's; those of a session
    are its own (``session_nonce``). ``purpose`` separates domains.
    """

    purpose: Purpose
    statement: bytes | None
    key: bytes
    nonce: bytes
    beacon: Beacon | None

    @classmethod
    def parse(cls, value: Json) -> "Binding":
        """Return the binding that ``to_json`` gave as ``value``. Raises MalformedError otherwise."""
        fields = Fields(value, "the binding")
        if fields.integer("v") != _VERSION:
            raise MalformedError(f"expected a binding of version {_VERSION}")
        binding = cls(
            purpose=cast("Purpose", fields.one_of("purpose", *PURPOSES)),
            statement=fields.optional("statement", lambda name: parse_hex(fields.text(name), 32)),
            key=parse_hex(fields.text("key"), 32),
            nonce=parse_hex(fields.text("nonce"), NONCE_SIZE),
            beacon=fields.optional("beacon", lambda name: Beacon.parse(fields.object(name))),
        )
        fields.end()
        if (binding.statement is None) != (binding.purpose == "session"):
            raise MalformedError("expected a statement in the binding of a task or a batch, and none in a session's")
        return binding

    def to_json(self) -> JsonObject:
        """Return the JSON object of this binding, ``beacon`` null when there was none."""
        return {
            "v": _VERSION,
            "purpose": self.purpose,
            "statement": self.statement.hex() if self.statement is not None else None,
            "key": self.key.hex(),
            "nonce": self.nonce.hex(),
            "beacon": self.beacon.to_json() if self.beacon else None,
        }

    def report_data(self) -> bytes:
        """Return the 64 bytes that a quote must carry to commit to this binding; or its leaf in a batch."""
        return hashlib.sha512(_DOMAIN + canonical_json(self.to_json())).digest()


def session_nonce(timestamp: bytes) -> bytes:
    """Return the nonce of a session before which an authority gave ``timestamp`` (RFC 3161, DER).

    Nobody can know an authority's signature earlier, so the quote is younger than the moment in the time-stamp.
    """
    return hashlib.sha256(timestamp).digest()[:NONCE_SIZE]


def is_committed(report_data: bytes, claimed: bytes) -> bool:
    """Whether evidence that claims to commit to ``claimed`` commits to ``report_data`` (64 bytes).

    Where a TPM holds no more, it is the SHA-256 of the 64 bytes. Compared in constant time.
    """
    wanted = hashlib.sha256(report_data).digest() if len(claimed) == hashlib.sha256().digest_size else report_data
    return hmac.compare_digest(claimed, wanted)
