"""What a TDX module says about one guest: its measurements, its attributes and its report data.

584 bytes for TDX 1.0, little-endian; TDX 1.5 appends two fields, and its extended form (885 bytes) ten more::

    tee_tcb_svn[16] mrseam[48] mrsignerseam[48] seam_attributes[8] td_attributes[8] xfam[8] mrtd[48]
    mrconfigid[48] mrowner[48] mrownerconfig[48] rtmr0[48] rtmr1[48] rtmr2[48] rtmr3[48] report_data[64]
    (1.5)       tee_tcb_svn2[16] mrservicetd[48]
    (extended)  vmid u8 td_id[32] dev_info[48] init_service_td_hash[48] init_service_td_attributes[8]
                init_cpu_svn[16] init_tee_tcb_svn[16] init_tee_fmspc[12] cur_service_td_hash[48]
                cur_service_td_attributes[8]

See: Intel TDX DCAP Quoting Library API, appendix A.3 (TD quote body) and A.4; ``sgx_quote_5.h``
(``sgx_report2_body_v1_5_ex_t``); Intel TDX Module ABI, ATTRIBUTES.
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
_EXTENDED = {
    "vmid": 1,
    "td_id": 32,
    "dev_info": 48,
    "init_service_td_hash": 48,
    "init_service_td_attributes": 8,
    "init_cpu_svn": 16,
    "init_tee_tcb_svn": 16,
    "init_tee_fmspc": 12,
    "cur_service_td_hash": 48,
    "cur_service_td_attributes": 8,
}
_MEASUREMENTS = ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3", "mrconfigid", "mrowner", "mrownerconfig", "mrseam")
_DEBUG = 1 << 0
_MIGRATABLE = 1 << 29

TD_REPORT_SIZE = 584
"""Bytes of a TDX 1.0 report."""

TD_REPORT_15_SIZE = 648
"""Bytes of a TDX 1.5 report."""

TD_REPORT_15_EX_SIZE = TD_REPORT_15_SIZE + sum(_EXTENDED.values())
"""Bytes of a TDX 1.5 report in its extended form: 885."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Td15:
    """What TDX 1.5 adds: the TCB that runs now (after an update that kept the guest), and the service guests' hash."""

    tee_tcb_svn2: bytes
    mrservicetd: bytes
    extended: "Td15Extended | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Td15Extended:
    """What the extended form adds: which guest this is among all, and how it and its service guests began.

    ``td_id`` is drawn at each launch and survives updates and migrations; ``vmid`` is the partition that asked. The
    ``init`` fields are of the platform that the guest was launched on, the ``cur`` ones of the service guests that are
    bound to it now, also of those that were bound after its launch.
    """

    vmid: bytes
    td_id: bytes
    dev_info: bytes
    init_service_td_hash: bytes
    init_service_td_attributes: bytes
    init_cpu_svn: bytes
    init_tee_tcb_svn: bytes
    init_tee_fmspc: bytes
    cur_service_td_hash: bytes
    cur_service_td_attributes: bytes


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
        """Return the report in ``data``, 584, 648 or 885 bytes. Raises MalformedError otherwise."""
        octets = Octets(data, "the TD report")
        fields = {name: octets.take(size) for name, size in _SIZE.items()}
        td15, extended = None, None
        if len(data) > TD_REPORT_SIZE:
            svn, service = octets.take(16), octets.take(48)
            if len(data) > TD_REPORT_15_SIZE:
                extended = Td15Extended(**{name: octets.take(size) for name, size in _EXTENDED.items()})
            td15 = Td15(tee_tcb_svn2=svn, mrservicetd=service, extended=extended)
        octets.end()
        return cls(**fields, td15=td15)

    def to_bytes(self) -> bytes:
        """Return this report as a quote carries it."""
        fields = [getattr(self, name) for name in _SIZE]
        if self.td15:
            fields += [self.td15.tee_tcb_svn2, self.td15.mrservicetd]
            if self.td15.extended:
                fields += [getattr(self.td15.extended, name) for name in _EXTENDED]
        return b"".join(fields)

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

    @property
    def served(self) -> bool:
        """True when a service guest, which may migrate this one, is bound to it, or was bound at its launch."""
        hashes = [self.td15.mrservicetd] if self.td15 else []
        if self.td15 and self.td15.extended:
            hashes += [self.td15.extended.init_service_td_hash, self.td15.extended.cur_service_td_hash]
        return any(map(any, hashes))
