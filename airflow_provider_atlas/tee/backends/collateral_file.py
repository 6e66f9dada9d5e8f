"""Collateral of a TDX platform in a file, which somebody else renews: for guests that may not use the network."""

from dataclasses import dataclass, replace
from pathlib import Path

from airflow_provider_atlas.errors import AttesterError
from airflow_provider_atlas.tee.evidence import DCAP_COLLATERAL, Endorsements, Evidence


@dataclass(frozen=True, slots=True)
class CollateralFile:
    """An ``Endorser`` of TDX quotes: DCAP collateral, as the file ``path`` holds it at that time."""

    path: Path

    def endorse(self, evidence: Evidence) -> Evidence:
        """Return ``evidence`` with the collateral, or as it is when it is of another TEE.

        Raises AttesterError when the file cannot be read.
        """
        if evidence.tee != "tdx":
            return evidence
        try:
            collateral = Endorsements(media_type=DCAP_COLLATERAL, content=self.path.read_bytes())
        except OSError as error:
            raise AttesterError(f"cannot read the collateral {self.path}: {error.strerror}") from error
        return replace(evidence, endorsements=(collateral, *evidence.endorsements))
