"""Hypothesis strategies for the values that records are made of."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from airflow_provider_atlas.intoto.beacon import Beacon
from airflow_provider_atlas.intoto.environment import (
    CodeIdentity,
    Environment,
    Platform,
    RecordReference,
    Unmeasured,
)
from airflow_provider_atlas.intoto.link import STATES, Link, Outcome
from airflow_provider_atlas.intoto.pipeline import Pipeline, PipelineTask
from airflow_provider_atlas.intoto.run_manifest import ManifestInstance, RunManifest
from airflow_provider_atlas.intoto.task_run import TaskRun
from airflow_provider_atlas.tee.binding import PURPOSES, Binding

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.from_regex(r"[a-z][a-z0-9_.-]{0,10}", fullmatch=True)
hexes = st.binary(min_size=32, max_size=32).map(bytes.hex)
digests = st.dictionaries(texts, hexes, max_size=3)
times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001
counts = st.integers(0, 2**53 - 1)
numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)

beacons = st.builds(Beacon, origin=texts, size=counts, root=st.binary(min_size=32, max_size=32))
task_runs = st.builds(
    TaskRun,
    deployment=texts,
    dag_id=texts,
    run_id=texts,
    task_id=texts,
    map_index=st.integers(-1, 1000),
    try_number=counts,
    ti_id=texts,
    logical_date=st.none() | texts,
)
references = st.builds(
    RecordReference, step=texts, try_number=counts, envelope_sha256=hexes, log_index=st.none() | counts
)
environments = st.builds(
    Environment,
    run=task_runs,
    nonce=st.binary(min_size=16, max_size=16),
    operator=texts,
    code=st.builds(
        CodeIdentity,
        bundle_name=texts,
        bundle_version=st.none() | texts,
        files_sha256=hexes,
        pipeline_sha256=hexes,
    ),
    platform=st.builds(
        Platform, python=texts, airflow=texts, atlas=texts, distributions_sha256=hexes, image=st.none() | texts
    ),
    parameters=digests,
    started=times,
    finished=times,
    upstream=st.lists(references, max_size=2).map(tuple),
    start=st.none() | references,
    beacon=st.none() | beacons,
    resumed=st.booleans(),
    unmeasured=st.lists(st.builds(Unmeasured, uri=texts, reason=texts), max_size=2).map(tuple),
)
outcomes = st.builds(
    Outcome,
    state=st.sampled_from(STATES),
    error=st.none() | texts,
    metrics=st.dictionaries(texts, numbers, max_size=3),
    kinds=st.dictionaries(texts, texts, max_size=2),
    pulled=digests,
    pushed=digests,
)
links = st.builds(Link, materials=digests, products=digests, outcome=outcomes, environment=environments)
bindings = st.sampled_from(PURPOSES).flatmap(
    lambda purpose: st.builds(
        Binding,
        purpose=st.just(purpose),
        statement=st.none() if purpose == "session" else st.binary(min_size=32, max_size=32),
        key=st.binary(min_size=32, max_size=32),
        nonce=st.binary(min_size=16, max_size=16),
        beacon=st.none() | beacons,
    )
)
manifests = st.builds(
    RunManifest,
    deployment=texts,
    dag_id=texts,
    run_id=texts,
    state=texts,
    finished=times,
    pipeline_sha256=hexes,
    instances=st.lists(
        st.builds(
            ManifestInstance,
            task_id=texts,
            map_index=st.integers(-1, 1000),
            state=texts,
            set_by_hand=st.booleans(),
            records=st.lists(references, max_size=2).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
)


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """A DAG: each task may only wait for tasks drawn before it."""
    tasks: dict[str, PipelineTask] = {}
    for name in draw(st.lists(names, unique=True, max_size=6)):
        upstream = draw(st.sets(st.sampled_from(sorted(tasks)))) if tasks else set()
        tasks[name] = PipelineTask(
            operator=draw(texts),
            upstream=tuple(sorted(upstream)),
            mapped=draw(st.booleans()),
            empty=draw(st.booleans()),
            waits=draw(st.booleans()),
        )
    return Pipeline(dag_id=draw(texts), tasks=tasks)
