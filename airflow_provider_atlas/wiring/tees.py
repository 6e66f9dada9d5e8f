"""Settings → the worker's TEE; and the verifiers of what TEEs give."""

from collections.abc import Mapping
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
    if scheme != "simulated":
        raise ConfigError(f"[atlas] attester is {settings.attester!r}; expected none: or simulated:/an/absolute/path")
    from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester

    simulated = SimulatedAttester(Path(path_of(settings.attester, "simulated", "attester")))
    return endorsed(simulated, settings)


def evidence_verifiers() -> Mapping[str, EvidenceVerifier]:
    """Return the verifiers of evidence, by TEE."""
    from airflow_provider_atlas.tee.backends.dcap import DcapVerifier

    return {"tdx": DcapVerifier()}


def reference_of(tee: Attester | None) -> Mapping[str, Any] | None:
    """Return the entry of ``tee.accept`` by which a policy accepts ``tee``, or None where nothing is known of it."""
    from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester

    if not isinstance(tee, SimulatedAttester):
        return None
    pinned = {name: [value] for name, value in tee.measurements.items() if name in ("mrtd", "rtmr0", "rtmr1", "rtmr2")}
    return {"tee": "tdx", "development_roots": [tee.root_sha256], "measurements": pinned}
