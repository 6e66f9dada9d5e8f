"""What a TDX module says about one guest: its measurements, its attributes and its report data.

584 bytes for TDX 1.0, little-endian; TDX 1.5 appends ``tee_tcb_svn2`` and ``mrservicetd``::

    tee_tcb_svn[16] mrseam[48] mrsignerseam[48] seam_attributes[8] td_attributes[8] xfam[8] mrtd[48]
    mrconfigid[48] mrowner[48] mrownerconfig[48] rtmr0[48] rtmr1[48] rtmr2[48] rtmr3[48] report_data[64]

See: Intel TDX DCAP Quoting Library API, appendix A.3 (TD quote body); Intel TDX Module ABI, ATTRIBUTES.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_atlas.tee.octets import Octets

_SIZE = {
    "tee_tcb_svn": 16,
    "mrseam": 48,
    "mrsignerseam": 48,
    "seam_attributes": 8,
    "td_attributes": 8,
    "xfam": 8,
    "mrtd": 48,
    "mrconfigid": 48,
    "mrowner": 48,
    "mrownerconfig": 48,
    "rtmr0": 48,
    "rtmr1": 48,
    "rtmr2": 48,
    "rtmr3": 48,
    "report_data": 64,
}
_MEASUREMENTS = ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3", "mrconfigid", "mrowner", "mrownerconfig", "mrseam")
_DEBUG = 1 << 0
_MIGRATABLE = 1 << 29

TD_REPORT_SIZE = 584
"""Bytes of a TDX 1.0 report."""

TD_REPORT_15_SIZE = 648
"""Bytes of a TDX 1.5 report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Td15:
    """What TDX 1.5 adds: the TCB that runs now (after an update that kept the guest), and the service guests' hash."""

    tee_tcb_svn2: bytes
    mrservicetd: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TdReport:
    """One guest, as its TDX module reports it. Every field is raw bytes, in the sizes that the module docstring gives.

    ``mrtd`` measures the guest's first memory, ``rtmr0`` to ``rtmr3`` what it loaded later (firmware, kernel, and what
    the guest extends itself), ``mrseam`` the TDX module; ``mrconfigid``, ``mrowner`` and ``mrownerconfig`` are the
    host's words at launch, immutable since. ``td15`` is None for TDX 1.0.
    """

    tee_tcb_svn: bytes
    mrseam: bytes
    mrsignerseam: bytes
    seam_attributes: bytes
    td_attributes: bytes
    xfam: bytes
    mrtd: bytes
    mrconfigid: bytes
    mrowner: bytes
    mrownerconfig: bytes
    rtmr0: bytes
    rtmr1: bytes
    rtmr2: bytes
    rtmr3: bytes
    report_data: bytes
    td15: Td15 | None = None

    @classmethod
    def parse(cls, data: bytes) -> "TdReport":
        """Return the report in ``data``, 584 or 648 bytes. Raises MalformedError otherwise."""
        octets = Octets(data, "the TD report")
        fields = {name: octets.take(size) for name, size in _SIZE.items()}
        td15 = None
        if len(data) > TD_REPORT_SIZE:
            td15 = Td15(tee_tcb_svn2=octets.take(16), mrservicetd=octets.take(48))
        octets.end()
        return cls(**fields, td15=td15)

    def to_bytes(self) -> bytes:
        """Return this report as a quote carries it."""
        fields = b"".join([getattr(self, name) for name in _SIZE])
        return fields + (self.td15.tee_tcb_svn2 + self.td15.mrservicetd if self.td15 else b"")

    def measurements(self) -> Mapping[str, str]:
        """Return what reference values are compared with: the name of each register and its value in lower-case hex."""
        return {name: getattr(self, name).hex() for name in _MEASUREMENTS}

    @property
    def debug(self) -> bool:
        """True when the host can read and change the guest: nothing that it says is worth anything."""
        return bool(int.from_bytes(self.td_attributes, "little") & _DEBUG)

    @property
    def migratable(self) -> bool:
        """True when the guest can be moved to another platform, with all that it knows."""
        return bool(int.from_bytes(self.td_attributes, "little") & _MIGRATABLE)
