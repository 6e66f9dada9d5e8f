"""A Sigstore trusted root: the logs and the authorities that Sigstore's tools shall believe.

::

    {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
     "tlogs": [{"baseUrl": "https://atlas.example.org/log", "hashAlgorithm": "SHA2_256",
                "publicKey": {"rawBytes": "<base64>", "keyDetails": "PKIX_ED25519",
                              "validFor": {"start": "1970-01-01T00:00:00Z"}},
                "logId": {"keyId": "<base64>"}, "checkpointKeyId": {"keyId": "<base64>"}}],
     "timestampAuthorities": [{"subject": {"organization": "", "commonName": "our own"}, "uri": "",
                               "certChain": {"certificates": [{"rawBytes": "<base64>"}, …]},
                               "validFor": {"start": "1970-01-01T00:00:00Z"}}],
     "certificateAuthorities": [], "ctlogs": []}

``certificateAuthorities`` are spelled as the time-stamp authorities are, ``ctlogs`` as the logs are, with ECDSA P-256
(``PKIX_ECDSA_P256_SHA_256``) and the SHA-256 of the key for an id. Where they are empty that is no mistake: keys that
their owners keep need no certificates and stand beside the root, and tools refuse a root without the lists. A policy
has no word on how long a log's key or an authority holds, so that begins with time itself.

A log that signs with ECDSA has ``PKIX_ECDSA_P256_SHA_256`` for its ``keyDetails``.

See: sigstore/protobuf-specs, ``sigstore_trustroot.proto``; Rekor, whose logs have the whole key hash for an id.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_atlas.encoding import Fields, Json, JsonObject, b64decode, b64encode, canonical_json, parse_json
from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.tlog.note import ECDSA, ED25519, VerifierKey, check_name
from airflow_provider_atlas.tlog.timestamp import TrustedAuthority

MEDIA_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
"""The media type of the trusted roots that are written here."""

MAX_TRUSTED_ROOT_SIZE = 1 << 20
"""The largest trusted root that is read, in bytes."""

_SCHEME = "https://"
_SPKI_HEAD = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: what comes before the 32 bytes of an Ed25519 key
_FOR_EVER: JsonObject = {"start": "1970-01-01T00:00:00Z"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedRoot:
    """The logs, by the keys that sign their checkpoints, the authorities that say when, and those that say who.

    ``fulcios`` are the certificates of the latter (DER, the issuing one first, up to a root), ``ct_keys`` the keys of
    the logs that have seen what they issue.
    """

    logs: Sequence[VerifierKey]
    authorities: Sequence[TrustedAuthority] = ()
    fulcios: Sequence[Sequence[bytes]] = ()
    ct_keys: Sequence[PublicKey] = ()

    @classmethod
    def parse(cls, content: bytes) -> "TrustedRoot":
        """Return the trusted root that ``to_bytes`` gave as ``content``. Raises MalformedError for any other bytes."""
        if len(content) > MAX_TRUSTED_ROOT_SIZE:
            raise MalformedError(f"expected a trusted root of at most {MAX_TRUSTED_ROOT_SIZE} bytes")
        fields = Fields(parse_json(content), "the trusted root")
        root = cls(
            logs=tuple(map(_parse_log, fields.items("tlogs"))),
            authorities=tuple(map(_parse_authority, fields.items("timestampAuthorities"))),
            fulcios=tuple(_parse_authority(each).certificates for each in fields.items("certificateAuthorities")),
            ct_keys=tuple(map(_parse_ct_log, fields.items("ctlogs"))),
        )
        if root.to_bytes() != content:
            raise MalformedError("expected the trusted root in its one spelling, canonical JSON")
        return root

    def to_bytes(self) -> bytes:
        """Return the trusted root in canonical JSON."""
        return canonical_json(
            {
                "mediaType": MEDIA_TYPE,
                "tlogs": list(map(_log, self.logs)),
                "certificateAuthorities": [_authority("", each) for each in self.fulcios],
                "ctlogs": list(map(_ct_log, self.ct_keys)),
                "timestampAuthorities": [_authority(each.name, each.certificates) for each in self.authorities],
            }
        )


def _log(key: VerifierKey) -> JsonObject:
    log_id = {"keyId": b64encode(key.key_hash)}
    ecdsa = key.kind == ECDSA  # whose public key is a SubjectPublicKeyInfo already
    return {
        # sigstore-js takes a checkpoint's signature for this log's only if the signer's name is part of this URL.
        "baseUrl": _SCHEME + key.name,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": b64encode(key.public_key if ecdsa else _SPKI_HEAD + key.public_key),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256" if ecdsa else "PKIX_ED25519",
            "validFor": _FOR_EVER,
        },
        "logId": log_id,
        "checkpointKeyId": log_id,
    }


def _parse_log(value: Json) -> VerifierKey:
    log = Fields(value, "the log of a trusted root")
    name = log.text("baseUrl").removeprefix(_SCHEME)
    check_name(name)
    public_key = b64decode(log.fields("publicKey").text("rawBytes"))
    kind = ED25519 if public_key.startswith(_SPKI_HEAD) else ECDSA
    key = VerifierKey(name=name, public_key=public_key.removeprefix(_SPKI_HEAD), kind=kind)
    key.check()
    return key


def _ct_log(key: PublicKey) -> JsonObject:
    return {
        "baseUrl": "",
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": b64encode(key.spki),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": _FOR_EVER,
        },
        "logId": {"keyId": b64encode(bytes.fromhex(key.sha256))},
    }


def _parse_ct_log(value: Json) -> PublicKey:
    log = Fields(value, "the certificate transparency log")
    return PublicKey.parse(b64decode(log.fields("publicKey").text("rawBytes")))


def _authority(name: str, certificates: Sequence[bytes]) -> JsonObject:
    return {
        "subject": {"organization": "", "commonName": name},
        "uri": "",
        "certChain": {"certificates": [{"rawBytes": b64encode(each)} for each in certificates]},
        "validFor": _FOR_EVER,
    }


def _parse_authority(value: Json) -> TrustedAuthority:
    authority = Fields(value, "the authority")
    chain = authority.fields("certChain").items("certificates")
    return TrustedAuthority(
        name=authority.fields("subject").text("commonName"),
        certificates=tuple(b64decode(Fields(each, "the certificate").text("rawBytes")) for each in chain),
    )
