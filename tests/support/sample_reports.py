"""Reports as a verification makes them: of a good run, a bad one, an unfinished one, and a large one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from airflow_provider_atlas.tee.appraisal import Judgement
from airflow_provider_atlas.tee.assurance import Limit
from airflow_provider_atlas.tee.demands import Moment
from airflow_provider_atlas.tee.evidence import TDX_QUOTE, Evidence
from airflow_provider_atlas.verify.questions import NAMES
from airflow_provider_atlas.verify.report import (
    ArtifactResult,
    Check,
    RecordResult,
    Status,
    VerificationReport,
)
from airflow_provider_atlas.verify.tee_result import TeeResult

NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)

CHURN: Mapping[str, tuple[str, ...]] = {
    "extract_customers": (),
    "extract_usage": (),
    "join": ("extract_customers", "extract_usage"),
    "split": ("join",),
    "train": ("split",),
    "train_baseline": ("split",),
    "evaluate": ("split", "train", "train_baseline"),
    "publish": ("evaluate", "train"),
}
"""A pipeline: the upstreams of each task."""

_GOOD = {
    1: "by a signer of the policy",
    2: "one story",
    3: "genuine",
    4: "bound to this link",
    5: "as the policy accepts",
    6: "logged, in order",
    7: "the same",
    8: "signed and logged",
    9: "this run, once",
    10: "the same",
    11: "complete",
    12: "linked",
    13: "ended well",
}

HARDWARE = TeeResult(
    tee="tdx",
    provider="tsm",
    assurance="standard",
    limits=[Limit(level="standard", code="platform-not-pinned", detail="no machines are listed")],
    judgements=[
        Judgement(name="tee", code="ok", detail="as expected"),
        Judgement(name="tcb-status", code="ok", detail="as expected"),
    ],
    moment=Moment(at=NOON, now=NOON, attested=NOON),
    tcb_status="UpToDate",
    tcb_status_now=None,
    advisory_ids=[],
    development=False,
    debug=False,
    facts={"quote_version": 4, "tee_tcb_svn": "0b0107" + 13 * "00", "fmspc": "b0c06f000000", "smt": True},
    identities={"ppid_sha256": sha256(b"one machine").hexdigest()},
    salted=True,
    evidence=Evidence(tee="tdx", provider="tsm", media_type=TDX_QUOTE, quote=b"a quote"),
    report_data=64 * "ab",
    binding=None,
    root_sha256=sha256(b"Intel SGX Root CA").hexdigest(),
    measurements={name: 2 * sha256(name.encode()).hexdigest()[:48] for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2")},
)

SIMULATED = replace(
    HARDWARE,
    provider="simulated",
    assurance="development",
    development=True,
    limits=[Limit(level="development", code="development-root", detail="the root is no silicon vendor's")],
    root_sha256=sha256(b"dev").hexdigest(),
)


def digest(*words: object) -> str:
    """A SHA-256 that depends on ``words``."""
    return sha256(repr(words).encode()).hexdigest()


def record(step: str, position: int, upstream: Sequence[str] = (), **changes: object) -> RecordResult:
    """A record of ``step``, the ``position``-th of its run."""
    given = RecordResult(
        step=step,
        try_number=1,
        state="success",
        operator="airflow.providers.standard.decorators.python._PythonDecoratedOperator",
        started=NOON + timedelta(seconds=7.5 * position),
        finished=NOON + timedelta(seconds=7.5 * position + 1.31 * (position + 1)),
        signer_sha256=digest("worker"),
        envelope_sha256=digest("envelope", step, position),
        log_index=8120 + 4 * position,
        inputs=len(upstream),
        outputs=1,
        metrics={},
        upstream=list(upstream),
        unmeasured=[],
        tee=HARDWARE,
    )
    return replace(given, **changes)  # type: ignore[arg-type]


def answered(subjects: Iterable[str], **exceptions: tuple[Status, str]) -> list[Check]:
    """Good answers to all questions about ``subjects`` and the run, but for ``exceptions`` (``n12="failed", …``)."""
    checks = []
    for subject in (*subjects, "run"):
        for number in range(1, 8) if subject != "run" else range(8, 14):
            status, detail = exceptions.get(f"n{number}", ("passed", _GOOD[number]))
            checks.append(Check(number=number, name=NAMES[number], subject=subject, status=status, detail=detail))
    return checks


def with_answer(
    report: VerificationReport, number: int, subject: str, status: Status, detail: str
) -> VerificationReport:
    """``report`` with another answer to question ``number`` about ``subject``."""
    checks = [
        replace(check, status=status, detail=detail) if (check.number, check.subject) == (number, subject) else check
        for check in report.checks
    ]
    return replace(report, checks=checks)


def report_of(records: Sequence[RecordResult], artifacts: Sequence[ArtifactResult] = ()) -> VerificationReport:
    """A good report on ``records``."""
    return VerificationReport(
        deployment="production",
        dag_id="churn",
        run_id="scheduled__2026-01-31T12:00:00+00:00",
        policy_name="churn in production",
        policy_sha256=digest("policy"),
        evaluated_at=NOON + timedelta(hours=2),
        verifier="airflow-provider-atlas 1.0.0",
        checks=answered([item.subject for item in records]),
        records=records,
        artifacts=artifacts,
        development=any(item.tee is not None and item.tee.development for item in records),
        limitations=[
            "A record says what went in and what came out. It does not say that the task's code is right.",
            "Inputs that nobody declared or recorded are not seen.",
            "Inclusion is proved in one log; no independent witness cosigned it.",
        ],
    )


def good() -> VerificationReport:
    """A training run in which all is well."""
    records = [record(step, position, upstream) for position, (step, upstream) in enumerate(CHURN.items())]
    records[6] = replace(records[6], metrics={"accuracy": 0.9342, "auc": 0.9711, "rows": 18250})
    return report_of(records, _artifacts())


def development() -> VerificationReport:
    """The same run on simulated TEEs, under a policy that allows them."""
    run = good()
    records = [replace(item, tee=SIMULATED) for item in run.records]
    first = "8 of 8 records carry quotes of a simulated TEE, for development: they prove nothing about any hardware."
    return replace(run, records=records, development=True, limitations=[first, *run.limitations])


def failed() -> VerificationReport:
    """The run after somebody exchanged a table, edited a record, and marked a task as successful."""
    run = good()
    records = [replace(item, state="failed", metrics={}) if item.step == "publish" else item for item in run.records]
    records[4:4] = [record("train", 3, ("split",), state="up_for_retry", outputs=0)]
    records[5] = replace(records[5], try_number=2, unmeasured=["s3://churn/scratch/checkpoints/"])
    run = replace(run, records=records, checks=answered([item.subject for item in records]))
    run = with_answer(run, 1, "join try 1", "failed", f"expected a signature by the key {digest('worker')}")
    for number in (2, 3, 4, 5, 6):
        run = with_answer(run, number, "join try 1", "not-reached", "the signature did not hold")
    run = with_answer(
        run, 7, "split try 1", "failed", "what lies at file:///srv/churn/train.parquet is not what was attested"
    )
    run = with_answer(run, 12, "run", "not-reached", "not decided while records are in doubt: join try 1")
    run = with_answer(run, 13, "run", "failed", "the state was set by hand of publish")
    states = {"file:///srv/churn/train.parquet": "different", "file:///srv/churn/joined.parquet": "absent"}
    artifacts = [replace(item, state=states.get(item.uri, item.state)) for item in run.artifacts]  # type: ignore[arg-type]
    return replace(run, artifacts=artifacts)


def undecided() -> VerificationReport:
    """The run before its manifest was made: two records are not logged yet."""
    run = good()
    records = [replace(item, log_index=None) if item.step in ("publish", "evaluate") else item for item in run.records]
    run = replace(run, records=records)
    for step in ("publish", "evaluate"):
        run = with_answer(run, 6, f"{step} try 1", "not-reached", "the link has no receipt: it is not logged yet")
    run = with_answer(run, 8, "run", "not-reached", "no run manifest: the run has not ended, or its manifest is gone")
    for number in (11, 12, 13):
        run = with_answer(run, number, "run", "not-reached", "it is not known what the run was to have")
    return run


def mapped(instances: int = 200) -> VerificationReport:
    """A run of a task that was mapped over many inputs."""
    records = [record("list_images", 0)]
    records += [
        record(f"score[{index}]", index + 1, ("list_images",), signer_sha256=digest("worker", index % 4))
        for index in range(instances)
    ]
    records.append(record("summarize", instances + 1, [item.step for item in records[1:]]))
    artifacts = [
        artifact(f"s3://images/scored/part-{index:05d}.parquet", f"score[{index}]", ["summarize"], "not-read")
        for index in range(instances)
    ]
    return report_of(records, artifacts)


def artifact(uri: str, producer: str | None, consumers: Sequence[str], state: str = "same") -> ArtifactResult:
    """A version of the artifact ``uri``."""
    return ArtifactResult(uri=uri, sha256=digest(uri), producer=producer, consumers=consumers, state=state)  # type: ignore[arg-type]


def _artifacts() -> list[ArtifactResult]:
    return [
        artifact("file:///srv/churn/customers.parquet", "extract_customers", ["join"]),
        artifact("file:///srv/churn/joined.parquet", "join", ["split"]),
        artifact("file:///srv/churn/model/", "train", ["evaluate", "publish"]),
        artifact("file:///srv/churn/test.parquet", "split", ["evaluate"]),
        artifact("file:///srv/churn/train.parquet", "split", ["train", "train_baseline"]),
        artifact("file:///srv/churn/usage.parquet", "extract_usage", ["join"]),
        artifact("postgres://crm.example/customers", None, ["extract_customers"], "not-read"),
        artifact("s3://churn-usage/2026/01/31/part-00000.parquet", None, ["extract_usage"]),
        artifact("s3://models.example/churn/2026-01-31/model.tar.zst", "publish", []),
    ]
