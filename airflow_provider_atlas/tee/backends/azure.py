"""The verifiers of Azure's confidential VMs: silicon → paravisor → TPM → quote.

A guest on Azure has no way to its hardware: the paravisor keeps it, and lends a TPM. So a hardware report vouches for
the paravisor and for the TPM's key, and the TPM for what booted after it. Anyone with a confidential VM elsewhere can
have a report that names a key of their own: only the measurement of Azure's paravisor, in a policy, tells them apart.
See: RFC 9334 §3.2 (layered attestation); and ``azure.runtime_data``.
"""

from collections.abc import Collection
from datetime import datetime

from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tee.attester import EvidenceVerifier
from airflow_provider_atlas.tee.azure.evidence import AZURE_VTPM, AzureEvidence
from airflow_provider_atlas.tee.evidence import SNP_REPORT, TDX_QUOTE, Claims, Evidence

_VMPL = slice(0x30, 0x34)


class AzureSnpVerifier:
    """An ``EvidenceVerifier`` for Azure's SEV-SNP guests (``azure-snp``)."""

    def __init__(self, hardware: EvidenceVerifier) -> None:
        """Judge the hardware reports by ``hardware``, a verifier of raw SEV-SNP reports."""
        self._hardware = hardware

    def verify(self, evidence: Evidence, *, development_roots: Collection[str], at: datetime) -> Claims:
        """Return the claims of a TPM quote that an SEV-SNP report leads to, genuine at the aware moment ``at``.

        The measurements are the report's and the TPM's. Raises what ``hardware`` raises of the report, MalformedError
        for bytes that are no such evidence, SignatureError for a link that does not lead to the next.
        """
        parsed = _parse(evidence, "azure-snp")
        # The paravisor is the guest's most privileged software; what runs below it may ask for reports by itself.
        if any(parsed.hardware[_VMPL]):
            raise SignatureError("expected a report that the paravisor asked for, at VMPL 0")
        report = _of_hardware(evidence, "sev-snp", SNP_REPORT, parsed.hardware)
        return _claims("azure-snp", parsed, self._hardware.verify(report, development_roots=development_roots, at=at))


class AzureTdxVerifier:
    """An ``EvidenceVerifier`` for Azure's TDX guests (``azure-tdx``).

    Its verdict is that of a TDX quote: guests that leave SEPT_VE_DISABLE unset, as Azure's did in 2024, are refused.
    A bare TDREPORT is no evidence: only the processor that made it could check it.
    """

    def __init__(self, hardware: EvidenceVerifier) -> None:
        """Judge the hardware's quotes by ``hardware``, a verifier of raw TDX quotes."""
        self._hardware = hardware

    def verify(self, evidence: Evidence, *, development_roots: Collection[str], at: datetime) -> Claims:
        """Return the claims of a TPM quote that a TDX quote leads to, genuine at the aware moment ``at``.

        Raises as ``AzureSnpVerifier`` does.
        """
        parsed = _parse(evidence, "azure-tdx")
        quote = _of_hardware(evidence, "tdx", TDX_QUOTE, parsed.hardware)
        return _claims("azure-tdx", parsed, self._hardware.verify(quote, development_roots=development_roots, at=at))


def _parse(evidence: Evidence, tee: str) -> AzureEvidence:
    if (evidence.tee, evidence.media_type) != (tee, AZURE_VTPM):
        raise MalformedError(f"expected evidence of tee {tee!r} with an Azure vTPM quote")
    return AzureEvidence.parse(evidence.quote)


def _of_hardware(evidence: Evidence, tee: str, media_type: str, report: bytes) -> Evidence:
    return Evidence(
        tee=tee,
        provider=evidence.provider,
        media_type=media_type,
        quote=report,
        endorsements=evidence.endorsements,
    )


def _claims(tee: str, parsed: AzureEvidence, hardware: Claims) -> Claims:
    """Follow the links from the hardware, whose report is genuine, to the TPM quote, and say what both say."""
    parsed.runtime.check(hardware.report_data)
    key = parsed.runtime.attestation_key()
    parsed.signed.verify(key)
    return Claims(
        tee=tee,
        report_data=parsed.signed.quote.extra_data,
        measurements={**hardware.measurements, **parsed.signed.measurements()},
        tcb_status=hardware.tcb_status,
        advisory_ids=hardware.advisory_ids,
        debug=hardware.debug,
        root_sha256=hardware.root_sha256,
        development=hardware.development,
        facts={
            **hardware.facts,
            **parsed.signed.facts(),
            **parsed.runtime.facts(),
            "ak_sha256": key.sha256,
        },
    )
