"""Evidence that travels with what vouches for it: an attester and an endorser as one attester."""

from dataclasses import dataclass

from airflow_provider_atlas.tee.attester import Attester, Endorser
from airflow_provider_atlas.tee.evidence import Evidence


@dataclass(frozen=True, slots=True)
class EndorsedAttester:
    """An ``Attester`` whose evidence has the endorsements that ``endorser`` fetches."""

    attester: Attester
    endorser: Endorser

    def attest(self, report_data: bytes) -> Evidence:
        """Return evidence that commits to ``report_data``, with endorsements (``Attester.attest``).

        Raises AttesterError when either is away: a record whose evidence nobody could ever judge is no record.
        """
        return self.endorser.endorse(self.attester.attest(report_data))
