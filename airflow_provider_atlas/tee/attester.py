"""The seams to a trusted execution environment: asked for evidence, vouched for, and judged."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from airflow_provider_atlas.tee.evidence import Claims, Evidence


class Attester(Protocol):
    """A worker's own TEE (RATS: Attester)."""

    def attest(self, report_data: bytes) -> Evidence:
        """Return evidence that commits to ``report_data``, 64 bytes.

        Raises AttesterError when the TEE gives none.
        """
        ...


class Endorser(Protocol):
    """Fetches what vouches for a platform (RATS: Endorser), so that evidence can be judged offline, and for ever."""

    def endorse(self, evidence: Evidence) -> Evidence:
        """Return ``evidence`` with the endorsements that its verifier asks for.

        Raises AttesterError when the vendor's service is away and nothing that is still valid was kept.
        """
        ...


class EvidenceVerifier(Protocol):
    """Judges the evidence of one kind of TEE (RATS: Verifier). No network, no clock."""

    def verify(self, evidence: Evidence, *, development_roots: Collection[str], at: datetime) -> Claims:
        """Return the claims of ``evidence``, genuine at the aware moment ``at``.

        The signatures must lead to the vendor's pinned root or to one whose certificate's SHA-256 (DER, lower-case
        hex) is in ``development_roots``. A debug guest is refused here, whatever a policy says.

        Raises MalformedError for bytes that are no evidence, MissingError when the endorsements that the answer
        needs are not there, SignatureError for evidence that is not genuine.
        """
        ...
