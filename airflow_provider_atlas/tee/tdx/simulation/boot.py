"""The simulated guest after a boot that left an event log: its registers are the log's, and ``rtmr3`` is untouched.

What the log names was never loaded: each event's data is a sentence that says so, and its digest is the SHA-384 of it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from airflow_provider_atlas.tee.ccel import SHA384, Event, EventLog, replayed
from airflow_provider_atlas.tee.tdx.report import TdReport
from airflow_provider_atlas.tee.tdx.simulation.guest import GUEST

_SEPARATOR, _IPL, _ACTION = 0x00000004, 0x0000000D, 0x80000007
_AREA_SIZE = 64 * 1024


def _event(index: int, kind: int, what: str) -> Event:
    data = f"airflow-provider-atlas simulated TDX: {what}".encode("ascii")
    return Event(index=index, kind=kind, digests=((SHA384, hashlib.sha384(data).digest()),), data=data)


BOOT_LOG = EventLog(
    index=1,
    platform_class=0,
    version=bytes((0, 2, 0)),
    uintn_size=2,
    algorithms=((SHA384, 48),),
    vendor=b"",
    events=(
        _event(1, _ACTION, "firmware configuration"),
        _event(1, _SEPARATOR, "end of firmware configuration"),
        _event(2, _ACTION, "boot loader"),
        _event(2, _SEPARATOR, "end of boot loader"),
        _event(3, _IPL, "kernel"),
        _event(3, _IPL, "kernel command line"),
    ),
)
"""What the simulated guest measured while it booted."""

BOOT_LOG_AREA = BOOT_LOG.to_bytes().ljust(_AREA_SIZE, b"\xff")
"""The log as firmware leaves it in memory, 64 KiB."""


def measured_guest(registers: Mapping[str, bytes], report_data: bytes) -> TdReport:
    """Return the simulated guest with these ``registers`` in place of its own, by their names, and ``report_data``."""
    return replace(GUEST, **registers, report_data=report_data)  # type: ignore[arg-type]  # each is of bytes


BOOTED_GUEST = measured_guest({name: bytes.fromhex(value) for name, value in replayed(BOOT_LOG).items()}, bytes(64))
"""The simulated guest once it has booted."""
