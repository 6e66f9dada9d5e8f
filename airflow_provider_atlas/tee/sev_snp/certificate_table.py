"""The certificates that a host hands its guests (``auxblob`` of configfs-tsm, SNP_GET_EXT_REPORT), from a CSP's cache.

::

    entries     GUID[16] · offset u32 · length u32, little-endian; the last is all zero
    blobs       each where its entry says, from the start of the table: a certificate, DER or PEM

The GUIDs have the byte order of RFC 9562. A host that was given no certificates hands out none, and whatever it hands
out is vouched for by its signatures alone.
See: GHCB Protocol Standardization (AMD 56421) §4.1.8.1; Linux, Documentation/virt/coco/sev-guest.rst §2.3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.octets import Octets
from airflow_provider_atlas.tee.pem import read_pem, to_pem

_MAX_SIZE = 32 * 1024  # TSM_REPORT_OUTBLOB_MAX of Linux
_ENTRY_SIZE = 24
_GUIDS: Mapping[bytes, str] = {
    UUID("c0b406a4-a803-4952-9743-3fb6014cd0ae").bytes: "ark",
    UUID("4ab7b379-bbac-4fe4-a02f-05aef327c782").bytes: "ask",
    UUID("63da758d-e664-4564-adc5-f4b93be8accd").bytes: "vcek",
    UUID("a8074bc2-a25a-483e-aae6-39c045a0b8a1").bytes: "vlek",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateTable:
    """The certificates of a table, as DER; None for those that it has not. ``ask`` is the ASVK beside a ``vlek``."""

    ark: bytes | None = None
    ask: bytes | None = None
    vcek: bytes | None = None
    vlek: bytes | None = None

    @classmethod
    def parse(cls, data: bytes) -> "CertificateTable":
        """Return the table in ``data``, at most 32 KiB; an empty one has no certificates.

        Entries with other GUIDs are passed over, as are whatever bytes no entry points to. Raises MalformedError for
        entries that point outside of it, for two of one kind, and where one certificate was expected and is not.
        """
        if len(data) > _MAX_SIZE:
            raise MalformedError(f"expected a certificate table of at most {_MAX_SIZE} bytes")
        found: dict[str, bytes] = {}
        octets = Octets(data, "the certificate table")
        while data and (entry := octets.take(_ENTRY_SIZE)) != bytes(_ENTRY_SIZE):
            name = _GUIDS.get(entry[:16])
            if name in found:
                raise MalformedError(f"expected one {name} in the certificate table")
            if name is not None:
                found[name] = _certificate(_blob(data, entry))
        return cls(**found)

    def to_bytes(self) -> bytes:
        """Return a table with these certificates, as DER one after the other behind the entries."""
        found = [(guid, getattr(self, name)) for guid, name in _GUIDS.items() if getattr(self, name) is not None]
        offset, entries = _ENTRY_SIZE * (len(found) + 1), b""
        for guid, blob in found:
            entries += guid + offset.to_bytes(4, "little") + len(blob).to_bytes(4, "little")
            offset += len(blob)
        return entries + bytes(_ENTRY_SIZE) + b"".join(blob for _, blob in found)

    def chain(self, signing_key: str) -> bytes | None:
        """Return the chain (PEM, leaf first) of the ``signing_key`` that a report names, VCEK or VLEK.

        It ends where the table's certificates end; None when not even the leaf is there.
        """
        leaf = {"VCEK": self.vcek, "VLEK": self.vlek}.get(signing_key)
        if leaf is None:
            return None
        above = () if self.ask is None else (self.ask,) if self.ark is None else (self.ask, self.ark)
        return to_pem(leaf, *above)


def _blob(data: bytes, entry: bytes) -> bytes:
    start, size = int.from_bytes(entry[16:20], "little"), int.from_bytes(entry[20:], "little")
    if start + size > len(data):
        raise MalformedError("expected the entries of a certificate table to point into it")
    return data[start : start + size]


def _certificate(blob: bytes) -> bytes:
    if not blob.lstrip().startswith(b"-----BEGIN"):
        return blob
    certificates = read_pem(blob)
    if len(certificates) != 1:
        raise MalformedError(f"expected one certificate for an entry of the table, not {len(certificates)}")
    return certificates[0]
