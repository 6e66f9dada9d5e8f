"""A Nitro hypervisor in memory, NOT AWS: it signs what none would."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.tee.backends.nitro import NitroVerifier
from airflow_provider_atlas.tee.evidence import NITRO_DOCUMENT, Claims, Evidence
from airflow_provider_atlas.tee.nitro.cbor import to_cbor
from airflow_provider_atlas.tee.nitro.document import NitroDocument
from tests.support.certificates import Holder, root
from tests.support.raw_signature import raw_signature

MADE = datetime(2026, 6, 1, 12, tzinfo=UTC)
REPORT_DATA = bytes(range(64))
PCRS = {0: b"\xa0" * 48, 1: b"\xa1" * 48, 2: b"\xa2" * 48, 3: bytes(48), 4: b"\xa4" * 48}


@dataclass(frozen=True, kw_only=True)
class Hypervisor:
    """A key that signs documents, and who certified it."""

    signer: Holder

    @classmethod
    def create(cls) -> "Hypervisor":
        region = root("simulated.nitro-enclaves (NOT AWS)").issue("region", ca=True).issue("zone", ca=True)
        ends = MADE + timedelta(hours=3)
        return cls(signer=region.issue("i-0123.simulated", begins=MADE - timedelta(seconds=2), ends=ends))

    @property
    def root_sha256(self) -> str:
        return sha256_hex(self.signer.chain[-1])

    def payload(self, **members: Any) -> dict[str, Any]:
        """Return what the hypervisor says, with ``members`` in place of its own words."""
        leaf, *above = self.signer.chain
        return {
            "module_id": "i-0123456789abcdef0-enc0123456789abcdef",
            "digest": "SHA384",
            "timestamp": int(MADE.timestamp() * 1000),
            "pcrs": PCRS,
            "certificate": leaf,
            "cabundle": list(reversed(above)),
            "public_key": None,
            "user_data": REPORT_DATA,
            "nonce": None,
            **members,
        }

    def document(self, payload: bytes | None = None, key: Any = None, **members: Any) -> NitroDocument:
        """Return a genuine document of ``payload``, or of one with these members."""
        content = to_cbor(self.payload(**members)) if payload is None else payload
        unsigned = NitroDocument(payload=content, signature=bytes(96))
        return replace(unsigned, signature=raw_signature(key or self.signer.key, unsigned.signed_bytes()))

    def show(self, **members: Any) -> Evidence:
        """Return evidence with those members."""
        return evidence(self.document(**members).to_bytes())

    def verify(self, shown: Evidence, at: datetime = MADE) -> Claims:
        """Return the claims of ``shown`` for a relying party that accepts this hypervisor."""
        return NitroVerifier().verify(shown, development_roots={self.root_sha256}, at=at)


def evidence(document: bytes) -> Evidence:
    """Return ``document`` as evidence."""
    return Evidence(tee="nitro", provider="simulated", media_type=NITRO_DOCUMENT, quote=document)
