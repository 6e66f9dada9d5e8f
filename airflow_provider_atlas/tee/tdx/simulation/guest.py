"""The simulated guest. Its measurements are fixed, so that they can stand in a policy: nothing was measured.

Each is ``SHA-384("airflow-provider-atlas simulated TDX: " ‖ name)``, so ``mrtd`` is that of ``…TDX: mrtd``; what a host
may set (``mrconfigid``, ``mrowner``, ``mrownerconfig``) is zero, as on most clouds.
"""

import hashlib

from airflow_provider_atlas.tee.tdx.report import TdReport

TEE_TCB_SVN = bytes((6, 1, 3)) + bytes(13)
"""The simulated TDX module: SVN 6 of module version 1, then SVN 3 of the SEAM loader."""


def _measured(name: str) -> bytes:
    return hashlib.sha384(f"airflow-provider-atlas simulated TDX: {name}".encode("ascii")).digest()


GUEST = TdReport(
    tee_tcb_svn=TEE_TCB_SVN,
    mrseam=_measured("mrseam"),
    mrsignerseam=bytes(48),
    seam_attributes=bytes(8),
    td_attributes=(1 << 28).to_bytes(8, "little"),  # SEPT_VE_DISABLE: without it verifiers refuse a guest
    xfam=bytes.fromhex("e702060000000000"),
    mrtd=_measured("mrtd"),
    mrconfigid=bytes(48),
    mrowner=bytes(48),
    mrownerconfig=bytes(48),
    rtmr0=_measured("rtmr0"),
    rtmr1=_measured("rtmr1"),
    rtmr2=_measured("rtmr2"),
    rtmr3=_measured("rtmr3"),
    report_data=bytes(64),
)
"""The simulated guest, before it says anything."""
