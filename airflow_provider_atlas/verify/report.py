"""VerificationReport: the verdict on a run, every question that was asked, and what the answers rest on.

An answer is ``passed``, ``failed``, ``not-reached`` (something it needs is missing or wrong) or ``not-required``
(the policy does not ask). Silence is not consent: what is not reached never counts as passed.
See: ``docs/format.md`` §8. A function of the run, the policy and the moment: the same bytes for the same three.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from airflow_provider_atlas.encoding import JsonObject, canonical_json, format_time
from airflow_provider_atlas.verify.tee_result import TeeResult

SCHEMA = "https://airflow-provider-atlas.readthedocs.io/v2/verification-report"
"""The schema of a report of version 2: ``docs/report.schema.json``."""

SCHEMA_1 = "https://airflow-provider-atlas.readthedocs.io/v1/verification-report"
"""The schema of a report of version 1, which says less of the evidence: ``docs/report-v1.schema.json``."""

Status = Literal["passed", "failed", "not-reached", "not-required"]
"""The answer to a question."""

Verdict = Literal["passed", "failed", "undecided"]
"""``failed`` when any answer is; else ``undecided`` when any is not reached; else ``passed``."""

EXIT_CODES: dict[Verdict, int] = {"passed": 0, "failed": 1, "undecided": 3}
"""The exit code of each verdict, everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question, asked of one subject: a record (``train[0] try 1``) or ``run``."""

    number: int
    name: str
    subject: str
    status: Status
    detail: str

    def to_json(self) -> JsonObject:
        """Return the JSON object of this check."""
        return {
            "number": self.number,
            "name": self.name,
            "subject": self.subject,
            "status": self.status,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordResult:
    """One record that was read, as it describes itself. ``tee`` is None where there is no genuine evidence."""

    step: str
    try_number: int
    state: str
    operator: str
    started: datetime
    finished: datetime
    signer_sha256: str
    envelope_sha256: str
    log_index: int | None
    inputs: int
    outputs: int
    metrics: JsonObject
    upstream: Sequence[str]
    unmeasured: Sequence[str]
    tee: TeeResult | None

    @property
    def subject(self) -> str:
        """How checks name this record."""
        return f"{self.step} try {self.try_number}"

    def to_json(self) -> JsonObject:
        """Return the JSON object of this record."""
        return {
            "step": self.step,
            "try_number": self.try_number,
            "state": self.state,
            "operator": self.operator,
            "started": format_time(self.started),
            "finished": format_time(self.finished),
            "signer_sha256": self.signer_sha256,
            "envelope_sha256": self.envelope_sha256,
            "log_index": self.log_index,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "metrics": self.metrics,
            "upstream": list(self.upstream),
            "unmeasured": list(self.unmeasured),
            "tee": self.tee.to_json() if self.tee else None,
        }


ArtifactState = Literal["same", "different", "absent", "not-read"]
"""What is at an artifact's URI now, beside what was attested; ``not-read`` when nobody looked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactResult:
    """One version of an artifact: who made it (None: it came from outside), who used it, and what is there now."""

    uri: str
    sha256: str
    producer: str | None
    consumers: Sequence[str]
    state: ArtifactState

    def to_json(self) -> JsonObject:
        """Return the JSON object of this artifact."""
        return {
            "uri": self.uri,
            "sha256": self.sha256,
            "producer": self.producer,
            "consumers": list(self.consumers),
            "state": self.state,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationReport:
    """The whole report. ``development`` is true when any accepted evidence came from a simulator.

    ``limitations`` says in plain words what a good verdict does not mean here.
    """

    deployment: str
    dag_id: str
    run_id: str
    policy_name: str
    policy_sha256: str
    evaluated_at: datetime
    verifier: str
    checks: Sequence[Check]
    records: Sequence[RecordResult]
    artifacts: Sequence[ArtifactResult]
    development: bool
    limitations: Sequence[str]

    @property
    def verdict(self) -> Verdict:
        """What the checks come to."""
        return verdict_of(self.checks)

    @property
    def exit_code(self) -> int:
        """0 yes, 1 verified and wrong, 3 cannot decide."""
        return EXIT_CODES[self.verdict]

    @property
    def failures(self) -> Sequence[Check]:
        """The checks that stand between this run and a good verdict, failed ones first."""
        return [check for status in ("failed", "not-reached") for check in self.checks if check.status == status]

    def to_bytes(self) -> bytes:
        """Return the report in canonical JSON: every other form is rendered from it."""
        return canonical_json(self.to_json())

    def to_json(self) -> JsonObject:
        """Return the JSON object of this report."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "development": self.development,
            "run": {"deployment": self.deployment, "dag_id": self.dag_id, "run_id": self.run_id},
            "policy": {"name": self.policy_name, "sha256": self.policy_sha256},
            "evaluated_at": format_time(self.evaluated_at),
            "verifier": self.verifier,
            "checks": [check.to_json() for check in self.checks],
            "records": [record.to_json() for record in self.records],
            "artifacts": [artifact.to_json() for artifact in self.artifacts],
            "limitations": list(self.limitations),
        }


def verdict_of(checks: Iterable[Check]) -> Verdict:
    """Return what ``checks`` come to. No check at all decides nothing."""
    statuses = {check.status for check in checks}
    if "failed" in statuses:
        return "failed"
    return "undecided" if "not-reached" in statuses or "passed" not in statuses else "passed"
