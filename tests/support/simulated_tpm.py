"""A TPM in memory, for tests that need more than a real one gives: it signs what no TPM would."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airflow_provider_atlas.encoding import canonical_json
from airflow_provider_atlas.tee.backends.tpm import TpmVerifier
from airflow_provider_atlas.tee.evidence import Claims, Endorsements, Evidence
from airflow_provider_atlas.tee.tpm.attestation_key import AttestationKey
from airflow_provider_atlas.tee.tpm.evidence import TPM_QUOTE, TpmEvidence
from airflow_provider_atlas.tee.tpm.signed_quote import SignedQuote
from airflow_provider_atlas.tee.tpm.structures import TpmQuote, TpmSignature

AT = datetime(2026, 6, 1, tzinfo=UTC)
COMMITMENT = hashlib.sha256(bytes(range(64))).digest()
PCRS = {index: hashlib.sha256(bytes([index])).digest() for index in (0, 4, 7, 14)}
_HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


@dataclass(frozen=True, kw_only=True)
class SimulatedTpm:
    """A private attestation key, and how it signs."""

    key: Any
    scheme: str
    hash_name: str = "sha256"

    @classmethod
    def rsa(cls, scheme: str = "rsassa", bits: int = 2048, hash_name: str = "sha256") -> "SimulatedTpm":
        return cls(key=rsa.generate_private_key(65537, bits), scheme=scheme, hash_name=hash_name)

    @classmethod
    def ecc(cls, curve: Any = ec.SECP256R1, hash_name: str = "sha256") -> "SimulatedTpm":
        return cls(key=ec.generate_private_key(curve()), scheme="ecdsa", hash_name=hash_name)

    @property
    def spki(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[no-any-return]

    @property
    def ak_sha256(self) -> str:
        return hashlib.sha256(self.spki).hexdigest()

    def sign(self, message: bytes) -> TpmSignature:
        algorithm = _HASHES[self.hash_name]
        if self.scheme == "ecdsa":
            r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(algorithm)))
            size = (self.key.key_size + 7) // 8
            values: tuple[bytes, ...] = (r.to_bytes(size, "big"), s.to_bytes(size, "big"))
        elif self.scheme == "rsapss":
            salt = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
            values = (self.key.sign(message, salt, algorithm),)
        else:
            values = (self.key.sign(message, padding.PKCS1v15(), algorithm),)
        return TpmSignature(scheme=self.scheme, hash_name=self.hash_name, values=values)

    def signed(self, pcrs: Mapping[int, bytes] = PCRS, **fields: Any) -> SignedQuote:
        """Return a genuine quote of ``pcrs`` with these fields."""
        quote = replace(quote_of(pcrs, self.hash_name), **fields)
        return SignedQuote(quote=quote, signature=self.sign(quote.to_bytes()), pcrs=pcrs)

    def show(self, signed: SignedQuote, *endorsements: Endorsements) -> Evidence:
        """Return ``signed`` as evidence of this TPM's key."""
        return evidence(TpmEvidence(key=AttestationKey(self.spki), signed=signed).to_bytes(), *endorsements)

    def verify(self, shown: Evidence) -> Claims:
        """Return the claims of ``shown`` for a relying party that knows this TPM as a simulator."""
        return TpmVerifier().verify(shown, development_roots={self.ak_sha256}, at=AT)


def quote_of(pcrs: Mapping[int, bytes], hash_name: str = "sha256") -> TpmQuote:
    """Return what a TPM would sign of ``pcrs``."""
    bitmap = sum(1 << index for index in pcrs).to_bytes(3, "little")
    digest = hashlib.new(hash_name, b"".join(pcrs[index] for index in sorted(pcrs))).digest()
    return TpmQuote(
        signer=b"\0\x0b" + bytes(32),
        extra_data=COMMITMENT,
        clock=123456,
        reset_count=7,
        restart_count=1,
        safe=True,
        firmware_version=0x2019102300163636,
        bitmap=bitmap,
        pcr_digest=digest,
    )


def evidence(content: bytes, *endorsements: Endorsements) -> Evidence:
    """Return TPM evidence with that content."""
    return Evidence(tee="tpm", provider="simulated", media_type=TPM_QUOTE, quote=content, endorsements=endorsements)


def changed(shown: Evidence, **members: Any) -> Evidence:
    """Return ``shown`` with ``members`` in place of its own."""
    return replace(shown, quote=canonical_json({**json.loads(shown.quote), **members}))
