"""The layout of AMD's ATTESTATION_REPORT, versions 2, 3 and 5. No signature is checked here.

1184 bytes, little-endian; the first 0x2A0 are signed::

    000 version u32 · guest svn u32 · policy u64 · family id[16] · image id[16] · vmpl u32 · signature algorithm u32 = 1
    038 current tcb[8] · platform info u64 · flags u32 · 0[4] · report data[64] · measurement[48] · host data[32]
    0E0 id key digest[48] · author key digest[48] · report id[32] · report id of the migration agent[32]
    180 reported tcb[8] · cpuid family, model, stepping (from version 3) · 0[21] · chip id[64] · committed tcb[8]
    1E8 current build, minor, major · 0 · committed build, minor, major · 0 · launch tcb[8]
    1F8 launch mitigations u64 · current mitigations u64 (from version 5) · 0[152]
    2A0 signature r[48] · 0[24] · s[48] · 0[24] · 0[368]

What a version does not define must be zero, in the part that no signature covers too: so a report has one spelling
but for its signature, which is one of two (r, s and r, n - s are both genuine). Never tell reports apart by their
bytes.
See: SEV-SNP Firmware ABI Specification (AMD 56860) §7.3, Table ATTESTATION_REPORT, revisions 1.55, 1.56 and 1.58.
"""

from dataclasses import dataclass
from typing import Any

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.octets import Octets
from airflow_provider_atlas.tee.sev_snp.tcb import Product, product_of_cpuid

SNP_REPORT_SIZE = 0x4A0
"""Bytes of a report."""

SNP_REPORT_VERSIONS = (2, 3, 5)
"""The versions that firmware has issued."""

_SIGNED_SIZE = 0x2A0
_ECDSA_P384_SHA384 = 1
_RESERVED = ""
_LAYOUT = (
    ("version", 4),
    ("guest_svn", 4),
    ("policy", 8),
    ("family_id", 16),
    ("image_id", 16),
    ("vmpl", 4),
    ("signature_algo", 4),
    ("current_tcb", 8),
    ("platform_info", 8),
    ("flags", 4),
    (_RESERVED, 4),
    ("report_data", 64),
    ("measurement", 48),
    ("host_data", 32),
    ("id_key_digest", 48),
    ("author_key_digest", 48),
    ("report_id", 32),
    ("report_id_ma", 32),
    ("reported_tcb", 8),
    ("cpuid", 3),
    (_RESERVED, 21),
    ("chip_id", 64),
    ("committed_tcb", 8),
    ("current_firmware", 3),
    (_RESERVED, 1),
    ("committed_firmware", 3),
    (_RESERVED, 1),
    ("launch_tcb", 8),
    ("launch_mit_vector", 8),
    ("current_mit_vector", 8),
    (_RESERVED, 152),
    ("signature_r", 48),
    (_RESERVED, 24),
    ("signature_s", 48),
    (_RESERVED, 24 + 368),
)
_NUMBERS = frozenset(
    (
        *("version", "guest_svn", "policy", "vmpl", "signature_algo", "platform_info", "flags"),
        *("launch_mit_vector", "current_mit_vector", "signature_r", "signature_s"),
    )
)
_SIGNING_KEYS = {0: "VCEK", 1: "VLEK", 7: "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpReport:
    """One guest, as the secure processor reports it. Numbers are integers; all else is raw bytes of the sizes above.

    ``measurement`` is of the guest's first memory; ``host_data`` and the two ``_digest`` fields are the host's and the
    image signer's words at launch, immutable since. ``current_tcb``, ``committed_tcb``, ``launch_tcb`` are of the
    firmware that runs, that it can no longer be rolled back from, and that the guest began on; ``reported_tcb`` is
    the one that the signing key is derived for. ``cpuid`` is zero before version 3, the ``_mit_vector`` fields are
    before version 5. ``chip_id`` is zero where the host masks it.
    """

    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    signature_algo: int
    current_tcb: bytes
    platform_info: int
    flags: int
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    reported_tcb: bytes
    cpuid: bytes
    chip_id: bytes
    committed_tcb: bytes
    current_firmware: bytes
    committed_firmware: bytes
    launch_tcb: bytes
    launch_mit_vector: int
    current_mit_vector: int
    signature_r: int
    signature_s: int

    @classmethod
    def parse(cls, data: bytes) -> "SnpReport":
        """Return the report in ``data``, exactly 1184 bytes. Raises MalformedError for anything else."""
        if len(data) != SNP_REPORT_SIZE:
            raise MalformedError(f"expected an SNP report of {SNP_REPORT_SIZE} bytes, not {len(data)}")
        octets, fields = Octets(data, "the SNP report"), dict[str, Any]()
        for name, size in _LAYOUT:
            value = octets.take(size)
            if name != _RESERVED:
                fields[name] = int.from_bytes(value, "little") if name in _NUMBERS else value
            elif any(value):
                raise MalformedError("expected zeros where an SNP report has nothing to say")
        octets.end()
        report = cls(**fields)
        report._check()
        return report

    def to_bytes(self) -> bytes:
        """Return this report as firmware gives it."""
        return b"".join([self._octets(name, size) for name, size in _LAYOUT])

    def signed_bytes(self) -> bytes:
        """Return what the VCEK or VLEK signs."""
        return self.to_bytes()[:_SIGNED_SIZE]

    @property
    def debug(self) -> bool:
        """True when the host may read and change the guest: nothing that it says is worth anything."""
        return bool(self.policy >> 19 & 1)

    @property
    def migratable(self) -> bool:
        """True when a migration agent may move the guest, with all that it knows, to where it likes."""
        return bool(self.policy >> 18 & 1)

    @property
    def author_key_en(self) -> bool:
        """True when ``author_key_digest`` says who vouched for the key of ``id_key_digest``."""
        return bool(self.flags & 1)

    @property
    def signing_key(self) -> str:
        """Which key signed, as the report says: ``VCEK``, ``VLEK``, ``none`` or ``unknown``."""
        return _SIGNING_KEYS.get(self.flags >> 2 & 0b111, "unknown")

    @property
    def chip_id_masked(self) -> bool:
        """True when the host keeps to itself which chip this is."""
        return not any(self.chip_id)

    @property
    def product(self) -> Product | None:
        """The line of processors that ``cpuid`` is of, None when it is of none; before version 3 it always is."""
        return product_of_cpuid(self.cpuid[0], self.cpuid[1])

    def _check(self) -> None:
        if self.version not in SNP_REPORT_VERSIONS:
            raise MalformedError(f"expected an SNP report of version 2, 3 or 5, not {self.version}")
        if self.signature_algo != _ECDSA_P384_SHA384:
            raise MalformedError(f"expected signature algorithm 1 (ECDSA P-384, SHA-384), not {self.signature_algo}")
        if (self.version < 3 and any(self.cpuid)) or (
            self.version < 5 and (self.launch_mit_vector or self.current_mit_vector)
        ):
            raise MalformedError(f"expected zeros where an SNP report of version {self.version} has nothing to say")
        if not self.policy >> 17 & 1:
            raise MalformedError("expected bit 17 of the guest policy to be set, as it always is")

    def _octets(self, name: str, size: int) -> bytes:
        value = getattr(self, name) if name != _RESERVED else 0
        return value if isinstance(value, bytes) else value.to_bytes(size, "little")
