"""The worker's TEE → the entry of ``tee.accept`` that accepts it: what a policy that is made on this machine pins."""

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.tee.attester import Attester
from airflow_provider_atlas.tee.azure.evidence import AzureEvidence
from airflow_provider_atlas.tee.endorsing import EndorsedAttester
from airflow_provider_atlas.tee.evidence import Evidence
from airflow_provider_atlas.tee.nitro.document import NitroDocument
from airflow_provider_atlas.tee.sev_snp.report import SnpReport
from airflow_provider_atlas.tee.tdx.quote import TdxQuote
from airflow_provider_atlas.tee.tpm.evidence import TpmEvidence


def reference_of(tee: Attester | None) -> Mapping[str, Any] | None:
    """Return the entry of ``tee.accept`` by which a policy accepts ``tee``, or None where there is none.

    What is no simulator is asked for one quote. Its root is not accepted for that, unless it is the vendor's: who
    mounts an emulated kernel would choose whom the policy trusts. A TPM has no vendor, and its key is listed. Raises
    AttesterError when there is no quote, MalformedError when it is none that can be read, and ConfigError for evidence
    that no policy can be made of: one without a word about it would accept records that have none.
    """
    from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester
    from airflow_provider_atlas.tee.backends.simulated_snp import SimulatedSnpAttester

    if tee is None:
        return None
    if isinstance(tee, SimulatedAttester):
        return {**_pinned("tdx", tee.measurements), "development_roots": [tee.root_sha256]}
    if isinstance(tee, SimulatedSnpAttester):
        return {**_pinned("sev-snp", tee.measurements), "development_roots": [tee.root_sha256]}
    asked = tee.attester if isinstance(tee, EndorsedAttester) else tee
    shown = asked.attest(bytes(64))
    read = _READERS.get(shown.tee)
    if read is None:
        raise ConfigError(
            f"no policy can be made by evidence of {shown.tee}: name keys and logs, and write its `tee` by hand"
        )
    return read(shown)


def _tdx(shown: Evidence) -> Mapping[str, Any]:
    return _pinned("tdx", TdxQuote.parse(shown.quote).report.measurements())


def _snp(shown: Evidence) -> Mapping[str, Any]:
    return _pinned("sev-snp", _launched(SnpReport.parse(shown.quote)))


def _azure_snp(shown: Evidence) -> Mapping[str, Any]:
    parsed = AzureEvidence.parse(shown.quote)
    return _pinned("azure-snp", {**_launched(SnpReport.parse(parsed.hardware)), **parsed.signed.measurements()})


def _nitro(shown: Evidence) -> Mapping[str, Any]:
    pcrs = NitroDocument.parse(shown.quote).claims().pcrs
    return _pinned("nitro", {f"pcr{index}": value.hex() for index, value in pcrs.items()})


def _tpm(shown: Evidence) -> Mapping[str, Any]:
    parsed = TpmEvidence.parse(shown.quote)
    key = [parsed.key.sha256]
    emulated = {"development_roots": key} if shown.provider == "simulated" else {}
    return {**_pinned("tpm", parsed.signed.measurements()), "ak_sha256": key, **emulated}


_READERS: Mapping[str, Callable[[Evidence], Mapping[str, Any]]] = {
    "azure-snp": _azure_snp,
    "nitro": _nitro,
    "sev-snp": _snp,
    "tdx": _tdx,
    "tpm": _tpm,
}

_PINNED = {
    "azure-snp": ("measurement", "pcr4", "pcr7"),
    "nitro": ("pcr0", "pcr1", "pcr2"),
    "sev-snp": ("measurement", "host_data"),
    "tdx": ("mrtd", "rtmr0", "rtmr1", "rtmr2"),
    "tpm": ("pcr0", "pcr4", "pcr7"),
}
"""By TEE, what tells the software that booted, and stays as it is until that changes."""


def _launched(report: SnpReport) -> Mapping[str, str]:
    return {"measurement": report.measurement.hex(), "host_data": report.host_data.hex()}


def _pinned(tee: str, measured: Mapping[str, str]) -> Mapping[str, Any]:
    # A TPM quotes what it was told to: where that is nothing that boots, it was chosen, and all of it counts.
    names = measured.keys() & set(_PINNED[tee]) or measured.keys()
    return {"tee": tee, "measurements": {name: [value] for name, value in measured.items() if name in names}}
