"""A small run, made without Airflow: signed records of a diamond of tasks with a mapped middle.

::

    ingest ─▶ prep.split ─▶ train[0], train[1] ─▶ select

``records()`` gives its bundles by step; ``write`` lays them out as an archive keeps a run.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airflow_provider_atlas.artifacts.archive import PIPELINE, record_path
from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.intoto.environment import CodeIdentity, Environment, Platform
from airflow_provider_atlas.intoto.link import Link, Outcome
from airflow_provider_atlas.intoto.pipeline import Pipeline, PipelineTask
from airflow_provider_atlas.intoto.provenance import provenance_of
from airflow_provider_atlas.intoto.statement import PAYLOAD_TYPE
from airflow_provider_atlas.intoto.task_run import UNMAPPED, TaskRun
from airflow_provider_atlas.signing import dsse
from airflow_provider_atlas.signing.keys import PublicKey

DEPLOYMENT, DAG_ID, RUN_ID = "prod", "churn", "manual__2026-01-31T12:00:00+00:00"
BEGAN = datetime(2026, 1, 31, 12, tzinfo=UTC)

RAW = "s3://raw/in[1]?.csv"
TABLE, TRAIN, TEST = "s3://lake/all.parquet", "file:///data/a%20b.csv", "file:///data/test.csv"
MODELS = ("file:///models/0.bin", "file:///models/1.bin")
BEST = "file:///models/best.bin"


class MemorySigner:
    """A Signer whose key lives as long as the test."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.public_key = PublicKey.parse(
            self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        )

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))


def digest(text: str) -> str:
    return sha256_hex(text.encode())


def pipeline() -> Pipeline:
    def task(*upstream: str, mapped: bool = False) -> PipelineTask:
        return PipelineTask(operator="example.Operator", upstream=upstream, mapped=mapped, empty=False)

    return Pipeline(
        dag_id=DAG_ID,
        tasks={
            "ingest": task(),
            "prep.split": task("ingest"),
            "train": task("prep.split", mapped=True),
            "select": task("prep.split", "train"),
        },
    )


def link(
    task_id: str,
    materials: Mapping[str, str],
    products: Mapping[str, str],
    *,
    map_index: int = UNMAPPED,
    try_number: int = 1,
    state: str = "success",
    run_id: str = RUN_ID,
) -> Link:
    run = TaskRun(
        deployment=DEPLOYMENT,
        dag_id=DAG_ID,
        run_id=run_id,
        task_id=task_id,
        map_index=map_index,
        try_number=try_number,
        ti_id="0198b4c0-0000-7000-8000-000000000001",
        logical_date=None,
    )
    environment = Environment(
        run=run,
        nonce=bytes(16),
        operator="example.Operator",
        code=CodeIdentity(
            bundle_name="dags", bundle_version=None, files_sha256=digest("files"), pipeline_sha256=pipeline().sha256
        ),
        platform=Platform(
            python="3.11.7", airflow="3.3.2", atlas="0.1.0", distributions_sha256=digest("distributions"), image=None
        ),
        parameters={},
        started=BEGAN,
        finished=BEGAN + timedelta(seconds=1),
        upstream=(),
        start=None,
        beacon=None,
        resumed=False,
        unmeasured=(),
    )
    outcome = Outcome(state=state, error=None, metrics={}, kinds={}, pulled={}, pushed={})
    name, identity = run.material
    return Link(
        materials={name: identity, **{uri: digest(text) for uri, text in materials.items()}},
        products={uri: digest(text) for uri, text in products.items()},
        outcome=outcome,
        environment=environment,
    )


def links() -> list[Link]:
    return [
        link("ingest", {RAW: "raw"}, {TABLE: "table"}),
        link("prep.split", {TABLE: "table"}, {TRAIN: "train", TEST: "test"}),
        link("train", {TRAIN: "train"}, {MODELS[0]: "model 0"}, map_index=0),
        link("train", {TRAIN: "train"}, {MODELS[1]: "model 1"}, map_index=1),
        link("select", {MODELS[0]: "model 0", MODELS[1]: "model 1", TEST: "test"}, {BEST: "model 1", TEST: "changed"}),
    ]


def bundle(link: Link, signer: MemorySigner) -> AttestationBundle:
    payloads = {"link": link.to_bytes(), "provenance": provenance_of(link).to_bytes()}
    return AttestationBundle(
        envelopes={role: dsse.sign(payload, PAYLOAD_TYPE, signer) for role, payload in payloads.items()},  # type: ignore[misc]
        public_key=signer.public_key,
    )


def write(folder: Path, bundles: list[AttestationBundle]) -> Path:
    """Lay ``bundles`` out in the archive ``folder``, and return the run's own folder."""
    for item in bundles:
        run = Link.parse(item.envelopes["link"].payload).environment.run
        path = folder.joinpath(*record_path(run.dag_id, run.run_id, run.step, f"{run.try_number}.bundle.json"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(item.to_bytes())
    place = folder.joinpath(*record_path(DAG_ID, RUN_ID, "", "")[:2])
    (place / PIPELINE).write_bytes(pipeline().to_bytes())
    return place
