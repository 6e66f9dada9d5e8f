"""Settings → the worker's TEE; and the verifiers of what TEEs give."""

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.settings import Settings, path_of
from airflow_provider_atlas.tee.attester import Attester, EvidenceVerifier
from airflow_provider_atlas.tee.endorsing import EndorsedAttester
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

    return endorsed(SimulatedAttester(Path(path_of(settings.attester, "simulated", "attester"))), settings)


def _simulated_snp(settings: Settings) -> Attester:
    from airflow_provider_atlas.tee.backends.simulated_snp import SimulatedSnpAttester

    return endorsed(SimulatedSnpAttester(Path(path_of(settings.attester, "simulated-snp", "attester"))), settings)


def _tsm(settings: Settings) -> Attester:
    """Return the attester of ``tsm:[/path/to/tsm/report][?privlevel=N&event_log=/path&collateral=/path]``."""
    from airflow_provider_atlas.tee.backends.collateral_file import CollateralFile
    from airflow_provider_atlas.tee.backends.tsm import CONFIGFS_TSM, TsmAttester

    address, _, query = settings.attester.removeprefix("tsm:").partition("?")
    options = _options(query, "privlevel", "event_log", "collateral")
    level, log, collateral = (options.get(name) for name in ("privlevel", "event_log", "collateral"))
    if level is not None and level not in {"0", "1", "2", "3"}:
        raise ConfigError(f"[atlas] attester: privlevel is 0, 1, 2 or 3, and not {level!r}")
    attester = TsmAttester(
        root=_absolute(address, "the folder of configfs-tsm") if address else CONFIGFS_TSM,
        privlevel=None if level is None else int(level),
        event_log=_absolute(log, "event_log") if log is not None else None,
    )
    if collateral is None:
        return endorsed(attester, settings)
    return EndorsedAttester(attester, CollateralFile(_absolute(collateral, "collateral")))


def _helper(settings: Settings) -> Attester:
    from airflow_provider_atlas.tee.backends.attester_client import HelperAttester

    return endorsed(HelperAttester(path=Path(path_of(settings.attester, "helper", "attester"))), settings)


def _options(query: str, *known: str) -> Mapping[str, str]:
    try:
        given = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else [])
    except ValueError as error:
        raise ConfigError(f"[atlas] attester: expected name=value&…, not {query!r}") from error
    if unknown := sorted(set(given) - set(known)):
        raise ConfigError(f"[atlas] attester has no option {unknown[0]!r}; it has {', '.join(known)}")
    return given


def _absolute(text: str, what: str) -> Path:
    if not Path(text).is_absolute():
        raise ConfigError(f"[atlas] attester: expected an absolute path of {what}, not {text!r}")
    return Path(text)


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
    "helper": _helper,
    "nitro": _nitro,
    "simulated": _simulated,
    "simulated-snp": _simulated_snp,
    "tpm": _tpm,
    "tsm": _tsm,
}
"""What makes the worker's TEE, by the scheme of the setting."""


def evidence_verifiers() -> Mapping[str, EvidenceVerifier]:
    """Return the verifiers of evidence, by TEE."""
    from airflow_provider_atlas.tee.backends.azure import AzureSnpVerifier, AzureTdxVerifier
    from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
    from airflow_provider_atlas.tee.backends.nitro import NitroVerifier
    from airflow_provider_atlas.tee.backends.nvidia import NvidiaVerifier
    from airflow_provider_atlas.tee.backends.sev_snp import SevSnpVerifier
    from airflow_provider_atlas.tee.backends.tpm import TpmVerifier

    tdx, snp = DcapVerifier(), SevSnpVerifier()
    return {
        "azure-snp": AzureSnpVerifier(snp),
        "azure-tdx": AzureTdxVerifier(tdx),
        "nitro": NitroVerifier(),
        "nvidia": NvidiaVerifier(),
        "sev-snp": snp,
        "tdx": tdx,
        "tpm": TpmVerifier(),
    }
