"""What a good verdict does not mean, in plain words, for the run at hand. See ``docs/threat-model.md``."""

from collections.abc import Iterator, Sequence

from airflow_provider_atlas.verify.report import ArtifactResult, Check, RecordResult

_ALWAYS = (
    "A record says what went in and what came out. It does not say that the task's code is right, or its data good.",
    "Inputs that nobody declared or recorded are not seen.",
)
_UNWITNESSED = (
    "Inclusion is proved in one log, whose operator could show others another; no independent witness cosigned it."
)


def limitations_of(
    records: Sequence[RecordResult],
    artifacts: Sequence[ArtifactResult],
    checks: Sequence[Check],
    *,
    in_sessions: int,
    witnessed: bool,
) -> Sequence[str]:
    """Return the sentences that a reader of this report must know, those of this run first.

    ``in_sessions`` is how many records a session's quote vouches for; ``witnessed`` says that a quorum of witnesses was
    asked for.
    """
    unwitnessed = () if witnessed else (_UNWITNESSED,)
    of_tee = (*_of_tee(records), *_of_sessions(in_sessions, len(records)))
    return (*of_tee, *_of_coverage(records, artifacts, checks), *_ALWAYS, *unwitnessed)


def _of_tee(records: Sequence[RecordResult]) -> Iterator[str]:
    simulated = [record for record in records if record.tee and record.tee.development]
    without = [record for record in records if record.tee is None]
    if simulated:
        yield (
            f"{len(simulated)} of {len(records)} records carry quotes of a simulated TEE, for development: "
            "they prove nothing about any hardware."
        )
    if without:
        yield f"{len(without)} of {len(records)} records carry no genuine TEE evidence: their host could forge them."


def _of_sessions(number: int, of: int) -> Iterator[str]:
    if number:
        yield (
            f"{number} of {of} records were signed in a session: a quote vouches for the key, "
            "which was made in a machine that the policy accepts, and not for the single record."
        )


def _of_coverage(
    records: Sequence[RecordResult], artifacts: Sequence[ArtifactResult], checks: Sequence[Check]
) -> Iterator[str]:
    unmeasured = sorted({uri for record in records for uri in record.unmeasured})
    if unmeasured:
        yield f"No digest was taken of {len(unmeasured)} declared artifacts: {', '.join(unmeasured[:5])}."
    absent = [artifact for artifact in artifacts if artifact.state == "absent"]
    if absent:
        yield f"{len(absent)} artifacts are not where they were: their digests are known, their bytes were not read."
    if any(check.number == 8 and check.status == "not-required" for check in checks):
        yield "There is no run manifest yet: what comes after this point of the run was not asked about."
