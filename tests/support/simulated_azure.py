"""An Azure confidential VM in memory: a simulated processor, a paravisor's words, and a TPM."""

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_atlas.tee.azure.evidence import AZURE_VTPM, AzureEvidence
from airflow_provider_atlas.tee.azure.hcl import SNP_REPORT_TYPE, HclReport
from airflow_provider_atlas.tee.azure.runtime_data import RuntimeData
from airflow_provider_atlas.tee.backends.azure import AzureSnpVerifier, AzureTdxVerifier
from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
from airflow_provider_atlas.tee.backends.sev_snp import SevSnpVerifier
from airflow_provider_atlas.tee.evidence import Claims, Evidence
from tests.support.simulated_snp import SnpVendor, vendor
from tests.support.simulated_tdx import AT, Vendor
from tests.support.simulated_tpm import SimulatedTpm

VM_ID = "00000000-0000-0000-0000-00000000A71A"


def runtime_of(key: Any, **members: Any) -> RuntimeData:
    """Return what a paravisor says of a TPM whose attestation key (RSA, public) is ``key``."""
    numbers = key.public_numbers()
    document = {
        "keys": [
            {
                "kid": "HCLAkPub",
                "key_ops": ["sign"],
                "kty": "RSA",
                "e": _base64url(numbers.e),
                "n": _base64url(numbers.n),
            }
        ],
        "vm-configuration": {
            "console-enabled": False,
            "secure-boot": True,
            "tpm-enabled": True,
            "vmUniqueId": VM_ID,
        },
        **members,
    }
    return RuntimeData(json.dumps(document, separators=(",", ":")).encode())


def hcl_report(hardware: bytes, runtime: RuntimeData, report_type: int = SNP_REPORT_TYPE) -> bytes:
    """Return what a paravisor leaves in the TPM, filled up with zeros as its index is."""
    report = HclReport(
        version=2, request_type=2, hardware=hardware.ljust(1184, b"\0"), report_type=report_type, runtime=runtime
    )
    return report.to_bytes().ljust(2048, b"\0")


@dataclass(frozen=True, kw_only=True)
class AzureTdx:
    """A VM on a TDX processor whose guests have exceptions to the host disabled, unlike Azure's own of 2024."""

    vendor: Vendor
    tpm: SimulatedTpm

    @classmethod
    def create(cls) -> "AzureTdx":
        return cls(vendor=Vendor.create(), tpm=SimulatedTpm.rsa())

    @property
    def runtime(self) -> RuntimeData:
        return runtime_of(self.tpm.key.public_key())

    def hardware(self, runtime: RuntimeData, **fields: Any) -> bytes:
        """Return a genuine quote of the paravisor, which commits to ``runtime``."""
        return self.vendor.guest(**{"report_data": runtime.report_data(), **fields}).quote

    def genuine(self) -> AzureEvidence:
        """Return evidence with nothing wrong in it."""
        runtime = self.runtime
        return AzureEvidence(hardware=self.hardware(runtime), runtime=runtime, signed=self.tpm.signed())

    def show(self, **parts: Any) -> Evidence:
        """Return the genuine evidence with ``parts`` in place of its own."""
        content = replace(self.genuine(), **parts).to_bytes()
        return replace(self.vendor.guest(), tee="azure-tdx", media_type=AZURE_VTPM, quote=content)

    def verify(self, shown: Evidence) -> Claims:
        """Return the claims of ``shown`` for a relying party that accepts this processor's vendor."""
        verifier = AzureTdxVerifier(DcapVerifier())
        return verifier.verify(shown, development_roots={self.vendor.root_sha256}, at=AT)


@dataclass(frozen=True, kw_only=True)
class AzureSnp:
    """A VM on an SEV-SNP processor, as Azure's are."""

    vendor: SnpVendor
    tpm: SimulatedTpm

    @classmethod
    def create(cls) -> "AzureSnp":
        return cls(vendor=vendor("Genoa"), tpm=SimulatedTpm.rsa())

    def hardware(self, runtime: RuntimeData, **fields: Any) -> bytes:
        """Return a genuine report of the paravisor, which commits to ``runtime``."""
        return self.vendor.report(**{"report_data": runtime.report_data(), "vmpl": 0, **fields})

    def show(self, **parts: Any) -> Evidence:
        """Return evidence with nothing wrong in it, but for ``parts``."""
        runtime = runtime_of(self.tpm.key.public_key())
        genuine = AzureEvidence(hardware=self.hardware(runtime), runtime=runtime, signed=self.tpm.signed())
        content = replace(genuine, **parts).to_bytes()
        return replace(self.vendor.guest(), tee="azure-snp", media_type=AZURE_VTPM, quote=content)

    def verify(self, shown: Evidence) -> Claims:
        """Return the claims of ``shown`` for a relying party that accepts this processor's vendor."""
        verifier = AzureSnpVerifier(SevSnpVerifier())
        return verifier.verify(shown, development_roots={self.vendor.root_sha256}, at=AT)


def _base64url(number: int) -> str:
    octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def vm_id_sha256() -> str:
    """Return what the claims say of the VM's name."""
    return hashlib.sha256(VM_ID.encode()).hexdigest()
