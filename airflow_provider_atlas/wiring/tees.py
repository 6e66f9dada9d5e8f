"""Settings → the worker's TEE; and the verifiers of what TEEs give."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.settings import Settings, path_of
from airflow_provider_atlas.tee.attester import Attester, EvidenceVerifier
from airflow_provider_atlas.wiring.endorsers import endorsed


def attester(settings: Settings) -> Attester | None:
    """Return the worker's TEE, or None where the setting says ``none:``. A simulator is never chosen by default."""
    scheme, _, _ = settings.attester.partition(":")
    if scheme == "none":
        return None
    if scheme == "simulated":
        from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester

        return endorsed(SimulatedAttester(Path(path_of(settings.attester, "simulated", "attester"))), settings)
    if scheme == "simulated-snp":
        from airflow_provider_atlas.tee.backends.simulated_snp import SimulatedSnpAttester

        return endorsed(SimulatedSnpAttester(Path(path_of(settings.attester, "simulated-snp", "attester"))), settings)
    raise ConfigError(
        f"[atlas] attester is {settings.attester!r}; expected none:, or simulated: (TDX) or simulated-snp: and an"
        " absolute path"
    )


def evidence_verifiers() -> Mapping[str, EvidenceVerifier]:
    """Return the verifiers of evidence, by TEE."""
    from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
    from airflow_provider_atlas.tee.backends.sev_snp import SevSnpVerifier

    return {"tdx": DcapVerifier(), "sev-snp": SevSnpVerifier()}


def reference_of(tee: Attester | None) -> Mapping[str, Any] | None:
    """Return the entry of ``tee.accept`` by which a policy accepts ``tee``, or None where nothing is known of it."""
    from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester
    from airflow_provider_atlas.tee.backends.simulated_snp import SimulatedSnpAttester

    if isinstance(tee, SimulatedAttester):
        return _reference("tdx", tee.root_sha256, tee.measurements, pinned=("mrtd", "rtmr0", "rtmr1", "rtmr2"))
    if isinstance(tee, SimulatedSnpAttester):
        return _reference("sev-snp", tee.root_sha256, tee.measurements, pinned=("measurement", "host_data"))
    return None


def _reference(
    tee: str, root_sha256: str, measured: Mapping[str, str], *, pinned: Collection[str]
) -> Mapping[str, Any]:
    measurements = {name: [value] for name, value in measured.items() if name in pinned}
    return {"tee": tee, "development_roots": [root_sha256], "measurements": measurements}
