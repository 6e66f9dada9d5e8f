"""One quote may vouch for many records, in a session or a batch: it is verified once in a run, and not for each."""

from collections.abc import Collection, Mapping
from datetime import datetime

from airflow_provider_atlas.tee.attester import EvidenceVerifier
from airflow_provider_atlas.tee.evidence import Claims, Evidence


class QuotesSeen:
    """An ``EvidenceVerifier`` that remembers the claims of genuine evidence, and asks another one for all else."""

    def __init__(self, verifier: EvidenceVerifier) -> None:
        self._verifier = verifier
        self._claims: dict[object, Claims] = {}

    def verify(self, evidence: Evidence, *, development_roots: Collection[str], at: datetime) -> Claims:
        """Return the claims of ``evidence``: a function of all that is given, but for the place in a batch."""
        said = (evidence.tee, evidence.provider, evidence.media_type, evidence.quote, tuple(evidence.endorsements))
        asked = (said, frozenset(development_roots), at)
        if asked not in self._claims:
            self._claims[asked] = self._verifier.verify(evidence, development_roots=development_roots, at=at)
        return self._claims[asked]


def remembering(verifiers: Mapping[str, EvidenceVerifier]) -> Mapping[str, EvidenceVerifier]:
    """Return ``verifiers``, each remembering for as long as what is returned is kept."""
    return {tee: QuotesSeen(verifier) for tee, verifier in verifiers.items()}
