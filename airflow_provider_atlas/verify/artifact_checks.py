"""Question 7: do the files that are still there hash to what was attested?

A file may be rewritten by a later task, so only the last version of each URI is looked for.
"""

from collections.abc import Mapping, Sequence

from airflow_provider_atlas.artifacts.store import ArtifactStore
from airflow_provider_atlas.errors import CaptureError, ConfigError, MalformedError, MismatchError, MissingError
from airflow_provider_atlas.intoto.pipeline import Pipeline
from airflow_provider_atlas.verify.policy import ArtifactDemand
from airflow_provider_atlas.verify.records import Record
from airflow_provider_atlas.verify.report import ArtifactResult, ArtifactState


def artifacts_of(
    last: Mapping[str, Record], pipeline: Pipeline | None, store: ArtifactStore | None
) -> Sequence[ArtifactResult]:
    """Return every version of every artifact of a run, and what is at its URI now where ``store`` may look.

    ``last`` is the last record of each step. An overwritten version is ``not-read``: another lies there by design.
    """
    makers: dict[tuple[str, str], str] = {}
    users: dict[tuple[str, str], list[str]] = {}
    newest: dict[str, str] = {}
    for record in _in_order(last, pipeline):
        for version in record.link.inputs.items():
            users.setdefault(version, []).append(record.link.name)
            newest.setdefault(*version)
        for version in record.link.products.items():
            makers[version] = record.link.name
            newest[version[0]] = version[1]
    return [
        ArtifactResult(
            uri=uri,
            sha256=digest,
            producer=makers.get((uri, digest)),
            consumers=users.get((uri, digest), []),
            state=_state(uri, digest, store) if newest[uri] == digest and store else "not-read",
        )
        for uri, digest in sorted({*makers, *users})
    ]


def check_artifacts(record: Record, artifacts: Sequence[ArtifactResult], demand: ArtifactDemand) -> None:
    """7: every artifact of ``record`` that is there is the one attested; with ``required``, every one is there."""
    mine = _own(record, artifacts)
    changed = [artifact.uri for artifact in mine if artifact.state == "different"]
    if changed:
        raise MismatchError(f"what lies at {changed[0]} is not what was attested")
    absent = [artifact.uri for artifact in mine if artifact.state == "absent"]
    if absent and demand == "required":
        raise MissingError(f"nothing readable is at {absent[0]}")


def any_there(record: Record, artifacts: Sequence[ArtifactResult]) -> bool:
    """Whether anything of ``record`` could be looked at: to compare nothing is no good answer."""
    return any(artifact.state in ("same", "different") for artifact in _own(record, artifacts))


def _own(record: Record, artifacts: Sequence[ArtifactResult]) -> Sequence[ArtifactResult]:
    versions = {*record.link.inputs.items(), *record.link.products.items()}
    return [artifact for artifact in artifacts if (artifact.uri, artifact.sha256) in versions]


def _in_order(last: Mapping[str, Record], pipeline: Pipeline | None) -> Sequence[Record]:
    position = {task_id: number for number, task_id in enumerate(pipeline.order())} if pipeline else {}
    return sorted(
        last.values(),
        key=lambda record: (position.get(record.link.environment.run.task_id, len(position)), record.link.name),
    )


def _state(uri: str, digest: str, store: ArtifactStore) -> ArtifactState:
    try:
        return "same" if store.describe(uri).sha256 == digest else "different"
    except (MissingError, CaptureError, ConfigError, MalformedError):
        return "absent"
