"""Drivers for an emulated configfs-tsm: each signs with a simulated platform, and is called as Linux's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester
from airflow_provider_atlas.tee.backends.simulated_snp import SimulatedSnpAttester
from airflow_provider_atlas.tee.backends.tsm_emulation import Driver, Registers
from airflow_provider_atlas.tee.tdx.simulation.boot import BOOT_LOG_AREA, BOOTED_GUEST, measured_guest

_FIELDS: Mapping[str, str] = {
    **{f"rtmr{number}:sha384": f"rtmr{number}" for number in range(4)},
    "mrtd:sha384": "mrtd",
    "mrconfigid": "mrconfigid",
    "mrowner": "mrowner",
    "mrownerconfig": "mrownerconfig",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A ``driver``, and what a relying party needs of it: its root's SHA-256, and where its collateral lies, if it has.

    A SEV-SNP guest's endorsements come with each report.
    """

    driver: Driver
    root_sha256: str
    collateral: Path | None


class MakePlatform(Protocol):
    """Makes the platform of a folder, whose reports take ``latency`` seconds. Raises AttesterError."""

    def __call__(self, folder: Path, latency: float) -> Platform:
        """Return the platform."""
        ...


def tdx(folder: Path, latency: float) -> Platform:
    """Return the simulated TDX platform in ``folder``, with a guest that has booted.

    Raises AttesterError when the folder cannot be used.
    """
    attester = SimulatedAttester(folder)
    values = {file: getattr(BOOTED_GUEST, name) for file, name in _FIELDS.items()}
    registers = Registers(values, frozenset(name for name in values if name.startswith("rtmr")))

    def report(inblob: bytes, _: int) -> tuple[bytes, None]:
        measured = {name: registers[file] for file, name in _FIELDS.items()}
        return attester.quote(measured_guest(measured, inblob)), None

    driver = Driver(name="tdx_guest", report=report, registers=registers, event_log=BOOT_LOG_AREA, latency=latency)
    return Platform(driver=driver, root_sha256=attester.root_sha256, collateral=attester.collateral)


def sev_snp(folder: Path, latency: float) -> Platform:
    """Return the simulated SEV-SNP platform in ``folder``, whose host hands out its certificates.

    Raises AttesterError when the folder cannot be used.
    """
    attester = SimulatedSnpAttester(folder)

    def report(inblob: bytes, privlevel: int) -> tuple[bytes, bytes]:
        return attester.report(inblob, vmpl=privlevel), attester.certificate_table

    driver = Driver(name="sev_guest", report=report, privlevel_floor=0, latency=latency)
    return Platform(driver=driver, root_sha256=attester.root_sha256, collateral=None)


PLATFORMS: Mapping[str, MakePlatform] = {"tdx": tdx, "sev-snp": sev_snp}
"""What can be simulated, by TEE."""
