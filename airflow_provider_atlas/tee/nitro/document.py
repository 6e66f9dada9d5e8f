"""An attestation document of a Nitro enclave: COSE_Sign1 around a CBOR map. No signature is checked here.

::

    [ h'a1013822' (ES384), {}, payload bstr, signature bstr(96) ]      no tag

    payload = { "module_id": text, "digest": "SHA384", "timestamp": ms, "pcrs": {index: bstr(48), …},
                "certificate": DER, "cabundle": [DER root, …, DER], "public_key"|"user_data"|"nonce": bstr or null }

The payload is kept as it came: hypervisors of different years spell its maps differently, and the signature covers it.
See: https://github.com/aws/aws-nitro-enclaves-nsm-api, ``docs/attestation_process.md``; RFC 9052 §4.2 (COSE_Sign1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.nitro.cbor import parse_cbor, to_cbor

T = TypeVar("T")

_PROTECTED = bytes.fromhex("a1013822")  # {1: -35}: ES384, and nothing else
_SIGNATURE_BYTES = 96
_PCR_BYTES = 48
_MAX_PCRS = 32
_MEMBERS = frozenset(
    {"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle", "public_key", "user_data", "nonce"}
)
_MAX_TIME = 253_402_300_799_999  # the end of the year 9999
_MAX_CERTIFICATES = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class NitroDocument:
    """A signed document: ``payload`` is what ``signature`` (r ‖ s, 96 bytes) is over, and ``claims`` reads it."""

    payload: bytes
    signature: bytes

    @classmethod
    def parse(cls, data: bytes) -> "NitroDocument":
        """Return the document in ``data``. Raises MalformedError for all else, other spellings included."""
        match parse_cbor(data, "the Nitro document"):
            case [bytes(protected), dict(unprotected), bytes(payload), bytes(signature)]:
                document = cls(payload=payload, signature=signature)
            case _:
                raise MalformedError("expected a Nitro document as COSE_Sign1, without a tag")
        if protected != _PROTECTED or unprotected or len(signature) != _SIGNATURE_BYTES:
            raise MalformedError("expected a Nitro document signed with ES384, and no other header")
        if document.to_bytes() != data:
            raise MalformedError("expected a Nitro document in its one spelling")
        return document

    def to_bytes(self) -> bytes:
        """Return this document as the hypervisor gives it."""
        return to_cbor([_PROTECTED, {}, self.payload, self.signature])

    def signed_bytes(self) -> bytes:
        """Return what the signature is over (Sig_structure of RFC 9052 §4.4)."""
        return to_cbor(["Signature1", _PROTECTED, b"", self.payload])

    def claims(self) -> "NitroPayload":
        """Return what the payload says. Raises MalformedError when it is no payload."""
        return NitroPayload.parse(self.payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class NitroPayload:
    """What a hypervisor says of one enclave.

    ``timestamp`` is in milliseconds of Unix time. ``pcrs`` are 48 bytes each; ``certificate`` is the key's, and
    ``cabundle`` what is above it, the root first (DER). ``user_data``, ``nonce`` and ``public_key`` are the enclave's.
    """

    module_id: str
    timestamp: int
    pcrs: Mapping[int, bytes]
    certificate: bytes
    cabundle: Sequence[bytes]
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None

    @classmethod
    def parse(cls, data: bytes) -> "NitroPayload":
        """Return the payload in ``data``. Raises MalformedError for all else, unknown members included."""
        members = parse_cbor(data, "the payload of a Nitro document")
        if not isinstance(members, dict) or not _is_known(members):
            raise MalformedError("expected the payload of a Nitro document to have the members that are documented")
        if members["digest"] != "SHA384":
            raise MalformedError("expected a Nitro document that measures with SHA384")
        timestamp = _typed(members, "timestamp", int)
        if not 0 < timestamp <= _MAX_TIME:
            raise MalformedError("expected 'timestamp' of a Nitro document in milliseconds of Unix time")
        return cls(
            module_id=_typed(members, "module_id", str),
            timestamp=timestamp,
            pcrs=_pcrs(_typed(members, "pcrs", dict)),
            certificate=_typed(members, "certificate", bytes),
            cabundle=_bundle(_typed(members, "cabundle", list)),
            public_key=_optional(members, "public_key"),
            user_data=_optional(members, "user_data"),
            nonce=_optional(members, "nonce"),
        )

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The certificates (DER) from the key's to the root's."""
        return (self.certificate, *reversed(self.cabundle))

    @property
    def debug(self) -> bool:
        """True when nothing measures the enclave's image: so does a hypervisor that lets its console be read."""
        return not any(self.pcrs.get(0, b""))


def _is_known(members: Mapping[object, object]) -> bool:
    required = _MEMBERS - {"public_key", "user_data", "nonce"}
    return required <= set(members) <= _MEMBERS


def _typed(members: Mapping[str, Any], name: str, kind: type[T]) -> T:
    value = members[name]
    if type(value) is not kind:
        raise MalformedError(f"expected {name!r} of a Nitro document to be of type {kind.__name__}")
    return value


def _optional(members: Mapping[str, Any], name: str) -> bytes | None:
    return None if members.get(name) is None else _typed(members, name, bytes)


def _pcrs(values: Mapping[object, object]) -> Mapping[int, bytes]:
    pcrs: dict[int, bytes] = {}
    for index, value in values.items():
        if type(index) is not int or not 0 <= index < _MAX_PCRS:
            raise MalformedError(f"expected the PCRs of a Nitro document to have numbers below {_MAX_PCRS}")
        if not isinstance(value, bytes) or len(value) != _PCR_BYTES:
            raise MalformedError(f"expected each PCR of a Nitro document to have {_PCR_BYTES} bytes")
        pcrs[index] = value
    return dict(sorted(pcrs.items()))


def _bundle(values: Sequence[object]) -> Sequence[bytes]:
    certificates = tuple(value for value in values if isinstance(value, bytes))
    if not 1 <= len(certificates) == len(values) <= _MAX_CERTIFICATES:
        raise MalformedError(f"expected the bundle of a Nitro document to hold 1 to {_MAX_CERTIFICATES} certificates")
    return certificates
