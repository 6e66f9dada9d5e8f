"""Settings → who vouches for the platform that a worker's TEE runs on. Nobody is asked whom no setting names."""

from pathlib import Path

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tee.attester import Attester, Endorser
from airflow_provider_atlas.tee.endorsing import EndorsedAttester

_EXPECTED = "expected none:, pcs:intel or pccs:https://host:8081 (TDX), kds:amd or kds:https://host (SEV-SNP)"
_REACHABLE = ("https://", "http://127.0.0.1:", "http://localhost:")


def endorsed(attester: Attester, settings: Settings) -> Attester:
    """Return ``attester`` with the endorsements that ``settings`` say where to fetch. Raises ConfigError."""
    found = endorser(settings)
    return EndorsedAttester(attester, found) if found else attester


def endorser(settings: Settings) -> Endorser | None:
    """Return who fetches endorsements, or None where the setting says ``none:``. Raises ConfigError."""
    scheme, colon, place = settings.endorsements.partition(":")
    kept = Path(settings.home) / "endorsements"
    if colon and scheme == "none" and not place:
        return None
    found = _of_tdx(scheme, place, kept) or _of_snp(scheme, place, kept)
    if found is None:
        raise ConfigError(f"[atlas] endorsements is {settings.endorsements!r}; {_EXPECTED}")
    return found


def _of_tdx(scheme: str, place: str, kept: Path) -> Endorser | None:
    from airflow_provider_atlas.tee.backends.pccs import PccsEndorser, PcsClient

    if scheme == "pcs" and place == "intel":
        return PccsEndorser(PcsClient.intel(), kept)
    if scheme == "pccs" and place.startswith(_REACHABLE):
        return PccsEndorser(PcsClient.cache(place), kept)
    return None


def _of_snp(scheme: str, place: str, kept: Path) -> Endorser | None:
    from airflow_provider_atlas.tee.backends.kds import AMD_SERVICE, KdsEndorser, service

    if scheme == "kds" and (place == "amd" or place.startswith(_REACHABLE)):
        return KdsEndorser(service(AMD_SERVICE if place == "amd" else place), kept)
    return None
