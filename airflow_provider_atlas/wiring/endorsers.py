"""Settings → who vouches for the platform that a worker's TEE runs on. Nobody is asked whom no setting names."""

from pathlib import Path

from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tee.attester import Attester, Endorser
from airflow_provider_atlas.tee.endorsing import EndorsedAttester

_EXPECTED = "expected none:, pcs:intel or pccs:https://host:8081"


def endorsed(attester: Attester, settings: Settings) -> Attester:
    """Return ``attester`` with the endorsements that ``settings`` say where to fetch. Raises ConfigError."""
    found = endorser(settings)
    return EndorsedAttester(attester, found) if found else attester


def endorser(settings: Settings) -> Endorser | None:
    """Return who fetches endorsements, or None where the setting says ``none:``. Raises ConfigError."""
    from airflow_provider_atlas.tee.backends.pccs import PccsEndorser, PcsClient

    scheme, colon, place = settings.endorsements.partition(":")
    kept = Path(settings.home) / "endorsements"
    if colon and scheme == "none" and not place:
        return None
    if scheme == "pcs" and place == "intel":
        return PccsEndorser(PcsClient.intel(), kept)
    if scheme == "pccs" and place.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        return PccsEndorser(PcsClient.cache(place), kept)
    raise ConfigError(f"[atlas] endorsements is {settings.endorsements!r}; {_EXPECTED}")
