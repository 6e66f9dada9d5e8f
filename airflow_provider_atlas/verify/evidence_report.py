"""The verdict on evidence alone: is it genuine, and is it what a policy accepts?

A function of the evidence, the policy and the moment: the same bytes for the same three.
See: ``docs/format.md`` §8.2, ``docs/evidence-report.schema.json``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_atlas.encoding import JsonObject, canonical_json, format_time
from airflow_provider_atlas.verify.report import EXIT_CODES, Status, Verdict
from airflow_provider_atlas.verify.tee_result import TeeResult

EVIDENCE_SCHEMA = "https://airflow-provider-atlas.readthedocs.io/v1/evidence-report"
"""The schema of a report of version 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceCheck:
    """One question and its answer; ``code`` is ``ok``, or says why not to machines."""

    name: str
    status: Status
    code: str
    detail: str

    def to_json(self) -> JsonObject:
        """Return the JSON object of this check."""
        return {"name": self.name, "status": self.status, "code": self.code, "detail": self.detail}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceReport:
    """The whole report. ``policy`` is its name and SHA-256, or None; ``tee`` is None unless the evidence is genuine."""

    policy: tuple[str, str] | None
    evaluated_at: datetime
    verifier: str
    checks: Sequence[EvidenceCheck]
    tee: TeeResult | None

    @property
    def verdict(self) -> Verdict:
        """What the checks come to. No check at all decides nothing."""
        statuses = {check.status for check in self.checks}
        if "failed" in statuses:
            return "failed"
        return "undecided" if "not-reached" in statuses or "passed" not in statuses else "passed"

    @property
    def exit_code(self) -> int:
        """0 yes, 1 verified and wrong, 3 cannot decide."""
        return EXIT_CODES[self.verdict]

    @property
    def signature_only(self) -> bool:
        """Whether nothing was asked of the guest: any would do, only its signature was checked."""
        limits = self.tee.limits if self.tee else ()
        return self.policy is None or any(limit.code == "signature-only" for limit in limits)

    @property
    def failures(self) -> Sequence[EvidenceCheck]:
        """The checks that stand in the way of a good verdict."""
        return [check for check in self.checks if check.status in ("failed", "not-reached")]

    def to_bytes(self) -> bytes:
        """Return the report in canonical JSON."""
        return canonical_json(self.to_json())

    def to_json(self) -> JsonObject:
        """Return the JSON object of this report."""
        return {
            "schema": EVIDENCE_SCHEMA,
            "verdict": self.verdict,
            "signature_only": self.signature_only,
            "assurance": self.tee.assurance if self.tee else "none",
            "policy": {"name": self.policy[0], "sha256": self.policy[1]} if self.policy else None,
            "evaluated_at": format_time(self.evaluated_at),
            "verifier": self.verifier,
            "checks": [check.to_json() for check in self.checks],
            "tee": self.tee.to_json() if self.tee else None,
        }
