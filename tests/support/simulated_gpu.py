"""An NVIDIA GPU in memory, NOT NVIDIA: it signs what none would."""

from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.tee.backends.nvidia import NvidiaVerifier
from airflow_provider_atlas.tee.evidence import (
    NVIDIA_REPORT,
    PEM_CERTIFICATE_CHAIN,
    Claims,
    Endorsements,
    Evidence,
)
from airflow_provider_atlas.tee.nvidia.report import (
    DRIVER_VERSION,
    FIRMWARE_ID,
    VBIOS_VERSION,
    GpuReport,
    MeasurementBlock,
)
from airflow_provider_atlas.tee.pem import to_pem
from tests.support.certificates import Holder, root
from tests.support.raw_signature import raw_signature
from tests.support.simulated_tpm import AT, COMMITMENT

TCB_INFO = "2.23.133.5.4.1"
FIRMWARE = bytes(range(48))


def report_of(**parts: Any) -> GpuReport:
    """Return what a GPU would sign, with ``parts`` in place of its own."""
    genuine = GpuReport(
        request=(1, 255, 0),
        nonce=COMMITMENT,
        parameters=bytes(2),
        blocks=tuple(MeasurementBlock(index=index, kind=1, value=bytes([index]) * 48) for index in range(1, 65)),
        gpu_nonce=b"\x5a" * 32,
        fields={
            VBIOS_VERSION: bytes.fromhex("009f009601000000"),
            DRIVER_VERSION: b"550.90.07\0",
            FIRMWARE_ID: FIRMWARE,
        },
        signature=bytes(96),
    )
    return replace(genuine, **parts)


@dataclass(frozen=True, kw_only=True)
class SimulatedGpu:
    """A GPU's key for one firmware, and who certified it."""

    signer: Holder

    @classmethod
    def create(cls, **profile: Any) -> "SimulatedGpu":
        device = root("Simulated Device Identity CA (NOT NVIDIA)").issue("GPU", ca=True)
        tcb_info = {TCB_INFO: b"\x30\x32\x06\x00" + FIRMWARE}
        return cls(signer=device.issue("firmware", **{"extensions": tcb_info, **profile}))

    @property
    def root_sha256(self) -> str:
        return sha256_hex(self.signer.chain[-1])

    def sign(self, report: GpuReport, key: Any = None) -> GpuReport:
        """Return ``report`` with the signature of this GPU, or of ``key``."""
        return replace(report, signature=raw_signature(key or self.signer.key, report.signed_bytes()))

    def show(self, **parts: Any) -> Evidence:
        """Return genuine evidence of a report with these parts."""
        return self.evidence(self.sign(report_of(**parts)).to_bytes())

    def evidence(self, report: bytes) -> Evidence:
        """Return ``report`` with this GPU's certificates."""
        return evidence(report, to_pem(*self.signer.chain))

    def verify(self, shown: Evidence) -> Claims:
        """Return the claims of ``shown`` for a relying party that accepts this GPU's vendor."""
        return NvidiaVerifier().verify(shown, development_roots={self.root_sha256}, at=AT)


def evidence(report: bytes, *chains: bytes) -> Evidence:
    """Return a GPU report with certificates."""
    return Evidence(
        tee="nvidia",
        provider="simulated",
        media_type=NVIDIA_REPORT,
        quote=report,
        endorsements=[Endorsements(media_type=PEM_CERTIFICATE_CHAIN, content=chain) for chain in chains],
    )
