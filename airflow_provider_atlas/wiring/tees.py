"""Settings → the worker's TEE; and the verifiers of what TEEs give."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.settings import Settings, path_of
from airflow_provider_atlas.tee.attester import Attester, EvidenceVerifier
from airflow_provider_atlas.wiring.endorsers import endorsed


def attester(settings: Settings) -> Attester | None:
    """Return the worker's TEE, or None where the setting says ``none:``. A simulator is never chosen by default.

    Raises ConfigError for a setting that names none, AttesterError for a TEE that is not there.
    """
    scheme, colon, _ = settings.attester.partition(":")
    if settings.attester == "none:":
        return None
    make = _ATTESTERS.get(scheme) if colon else None
    if make is None:
        raise ConfigError(f"[atlas] attester is {settings.attester!r}; expected none: or one of {_known()}")
    return make(settings)


def _known() -> str:
    return ", ".join(f"{scheme}:" for scheme in sorted(_ATTESTERS))


def _simulated(settings: Settings) -> Attester:
    from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester

    simulated = SimulatedAttester(Path(path_of(settings.attester, "simulated", "attester")))
    return endorsed(simulated, settings)


def _tpm(settings: Settings) -> Attester:
    from airflow_provider_atlas.tee.backends.tpm_attester import TpmAttester

    return TpmAttester(_address(settings))


def _azure_vtpm(settings: Settings) -> Attester:
    from airflow_provider_atlas.tee.backends.azure_vtpm import AzureVtpmAttester

    return AzureVtpmAttester(_address(settings))


def _coco(settings: Settings) -> Attester:
    from airflow_provider_atlas.tee.backends.coco import CocoAttester

    return endorsed(CocoAttester(_address(settings)), settings)


def _nitro(settings: Settings) -> Attester:
    from airflow_provider_atlas.tee.backends.nsm import NitroAttester

    return NitroAttester(_address(settings))


def _address(settings: Settings) -> str:
    return settings.attester.partition(":")[2]


_ATTESTERS: Mapping[str, Callable[[Settings], Attester]] = {
    "azure-vtpm": _azure_vtpm,
    "coco": _coco,
    "nitro": _nitro,
    "simulated": _simulated,
    "tpm": _tpm,
}
"""What makes the worker's TEE, by the scheme of the setting."""


def evidence_verifiers() -> Mapping[str, EvidenceVerifier]:
    """Return the verifiers of evidence, by TEE."""
    from airflow_provider_atlas.tee.backends.azure import AzureTdxVerifier
    from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
    from airflow_provider_atlas.tee.backends.nitro import NitroVerifier
    from airflow_provider_atlas.tee.backends.nvidia import NvidiaVerifier
    from airflow_provider_atlas.tee.backends.tpm import TpmVerifier

    tdx = DcapVerifier()
    return {
        "azure-tdx": AzureTdxVerifier(tdx),
        "nitro": NitroVerifier(),
        "nvidia": NvidiaVerifier(),
        "tdx": tdx,
        "tpm": TpmVerifier(),
    }


def reference_of(tee: Attester | None) -> Mapping[str, Any] | None:
    """Return the entry of ``tee.accept`` by which a policy accepts ``tee``, or None where nothing is known of it."""
    from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester

    if not isinstance(tee, SimulatedAttester):
        return None
    pinned = {name: [value] for name, value in tee.measurements.items() if name in ("mrtd", "rtmr0", "rtmr1", "rtmr2")}
    return {"tee": "tdx", "development_roots": [tee.root_sha256], "measurements": pinned}
