"""Makes ``tests/vectors/format-v1``: one small run in every format of version 1, as ``docs/format.md`` shows it.

With ``--certified`` it makes ``format-v1-certified``, the same run by a worker that has no key of its own. Run it as
``python -m tests.support.format_vector FOLDER`` when a format gets a new version, for a folder of that
version. The folder of a version that was released is never made again: what it holds must verify for ever.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow_provider_atlas.artifacts.archive import MANIFEST, record_path, run_path
from airflow_provider_atlas.artifacts.manifest import Manifest, ManifestEntry
from airflow_provider_atlas.artifacts.store import Artifact
from airflow_provider_atlas.attest.execution import (
    Recorded,
    Started,
    Surroundings,
    Upstream,
    beacon_of,
    begin,
    commitment,
    finish,
    with_start,
)
from airflow_provider_atlas.attest.pending import Attachments, PendingRecord, keep
from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.encoding import JsonObject, canonical_json, parse_time, sha256_hex
from airflow_provider_atlas.errors import MissingError
from airflow_provider_atlas.intoto.environment import CodeIdentity, Platform, RecordReference, Unmeasured
from airflow_provider_atlas.intoto.link import Link, Outcome
from airflow_provider_atlas.intoto.pipeline import Pipeline, PipelineTask
from airflow_provider_atlas.intoto.run_manifest import ManifestInstance, RunManifest
from airflow_provider_atlas.intoto.task_run import UNMAPPED, TaskRun, step_name
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.wiring import runs, workers
from tests.support.fulcio import Keyless, keyless
from tests.support.time_stamping import Authority

DEPLOYMENT, DAG_ID, RUN_ID = "production", "churn", "manual__2026-11-24T12:00:00+00:00"
BEGAN = parse_time("2026-11-24T12:00:00.000000Z")
CERTIFIED = parse_time("2026-11-26T06:00:00.000000Z")

_OPERATOR = "airflow.providers.standard.decorators.python._PythonDecoratedOperator"
_PIPELINE = Pipeline(
    dag_id=DAG_ID,
    tasks={
        "split": PipelineTask(operator=_OPERATOR, upstream=(), mapped=False, empty=False, waits=True),
        "train": PipelineTask(operator=_OPERATOR, upstream=("split",), mapped=True, empty=False, waits=True),
    },
)
_MODEL = Manifest.of(
    ManifestEntry(path=path, sha256=sha256_hex(content), size=len(content))
    for path, content in {"config.json": b"{}\n", "weights/0.bin": b"\x00\x01"}.items()
)
_CODE = Manifest.of([ManifestEntry(path="churn.py", sha256=sha256_hex(b"# a DAG\n"), size=8)])
_FILES = {
    "file:///srv/churn/customers.csv": b"id,left\n1,0\n2,1\n",
    "file:///srv/churn/train.csv": b"1,0\n",
    "file:///srv/churn/test.csv": b"2,1\n",
}
PUSHED = sha256_hex(canonical_json(["file:///srv/churn/train.csv"]))
_TOLD: JsonObject = {"op_kwargs": {"rate": 0.1, "token": "***"}, "params": {"seed": 7}}


class Contents:
    """A store of the files above, wherever they are said to be."""

    def describe(self, uri: str) -> Artifact:
        if uri == "file:///srv/churn/model":
            return Artifact(uri=uri, sha256=_MODEL.sha256, size=_MODEL.size, kind="directory", manifest=_MODEL)
        if uri not in _FILES:
            raise MissingError(f"there is nothing at {uri}")
        return Artifact(uri=uri, sha256=sha256_hex(_FILES[uri]), size=len(_FILES[uri]), kind="file")


class VectorRun:
    """A run that ``began`` then; its archive lies in ``folder``, its log and keys in ``home``.

    With ``services`` its worker has no key of its own: what signs is certified by them.
    """

    def __init__(
        self, folder: Path, home: Path, *, began: datetime = BEGAN, services: Keyless | None = None, **section: str
    ) -> None:
        self.settings = Settings.parse(
            {
                "deployment": DEPLOYMENT,
                "attester": f"simulated:{home}/tee",
                "archive": f"file:{folder}/archive",
                "log_origin": "atlas.example.org/log",
                **(services.section if services else {}),
                **section,
            },
            home=str(home),
        )
        self.worker = workers.worker(self.settings)
        self.authority = services.authority if services else Authority()
        self.authority.clock = lambda: self.clock
        if services:
            services.fulcio.clock = self.worker.sealer.signer._clock = lambda: self.clock  # type: ignore[attr-defined]
        self.archive, self.sealer = self.worker.archive, replace(self.worker.sealer, authority=self.authority)
        self.done: list[tuple[Link, AttestationBundle]] = []
        self.clock = began

    def record(
        self, task_id: str, inputs: Sequence[str], recorded: Recorded, *, map_index: int = UNMAPPED, start: bool
    ) -> None:
        """Add the record of a task."""
        self.seal(*self.execute(task_id, inputs, recorded, map_index=map_index, start=start))

    def execute(
        self, task_id: str, inputs: Sequence[str], recorded: Recorded, *, map_index: int = UNMAPPED, start: bool
    ) -> tuple[Link, JsonObject, AttestationBundle | None]:
        """Return the link of a task that ran now, the openings of its commitments, and its start."""
        salts = {name: bytes([number]) * 16 for number, name in enumerate(_TOLD, start=1)}
        openings: JsonObject = {name: {"salt": salts[name].hex(), "value": value} for name, value in _TOLD.items()}
        started = begin(
            self._surroundings(task_id, map_index, {name: commitment(_TOLD[name], salts[name]) for name in _TOLD}),
            inputs=inputs,
            store=Contents(),
            upstream=[Upstream(reference=_reference(*done), products=done[0].products) for done in self.done],
            now=self._tick(),
        )
        begun = self._declare_start(started) if start else None
        if begun:
            started = with_start(started, begun.envelopes["start"].sha256, begun.receipts["start"].index)
        return finish(started, recorded, now=self._tick()), openings, begun

    def seal(self, link: Link, openings: JsonObject, begun: AttestationBundle | None) -> None:
        """Vouch for ``link``, log it, have it stamped, archive it."""
        bundle = self.sealer.stamp(self.sealer.enter(self.sealer.vouch(link, begun)))
        attachments = Attachments(
            pipeline=_PIPELINE.to_bytes(),
            openings=canonical_json(openings),
            blobs=[_CODE.to_bytes(), _MODEL.to_bytes()],
        )
        keep(PendingRecord(link=link, attachments=attachments, bundle=bundle), self.archive)
        self.done.append((link, bundle))

    def _declare_start(self, started: Started) -> AttestationBundle:
        begun = self.sealer.enter(self.sealer.declare("start", started.statement()))
        run = started.surroundings.run
        path = record_path(DAG_ID, RUN_ID, run.step, f"{run.try_number}.start.json")
        self.archive.put(path, begun.to_bytes())
        return begun

    def end(self) -> None:
        """Write the run manifest."""
        manifest = RunManifest(
            deployment=DEPLOYMENT,
            dag_id=DAG_ID,
            run_id=RUN_ID,
            state="success",
            finished=self._tick(),
            pipeline_sha256=_PIPELINE.sha256,
            instances=[_instance(link, bundle) for link, bundle in self.done],
        )
        sealer = replace(workers.declarer(self.worker), authority=self.authority)
        bundle = sealer.enter(sealer.declare("manifest", manifest.to_statement()))
        self.archive.put((*run_path(DAG_ID, RUN_ID), MANIFEST), bundle.to_bytes())

    def _surroundings(self, task_id: str, map_index: int, parameters: Mapping[str, str]) -> Surroundings:
        return Surroundings(
            run=TaskRun(
                deployment=DEPLOYMENT,
                dag_id=DAG_ID,
                run_id=RUN_ID,
                task_id=task_id,
                map_index=map_index,
                try_number=1,
                ti_id=f"019ab59a-4c00-7000-8000-00000000000{len(self.done) + 1}",
                logical_date="2026-11-24T12:00:00+00:00",
            ),
            operator=_OPERATOR,
            code=CodeIdentity(
                bundle_name="dags",
                bundle_version="4f0c2d1",
                files_sha256=_CODE.sha256,
                pipeline_sha256=_PIPELINE.sha256,
            ),
            platform=Platform(
                python="3.11.11",
                airflow="3.3.2",
                atlas="1.0.0",
                distributions_sha256=sha256_hex(b"apache_airflow-3.3.2"),
                image=f"sha256:{sha256_hex(b'image')}",
            ),
            parameters=parameters,
            beacon=beacon_of(self.sealer.log.latest()),
            nonce=bytes.fromhex(sha256_hex(step_name(task_id, map_index).encode()))[:16],
            resumed=False,
        )

    def _tick(self) -> datetime:
        self.clock += timedelta(seconds=1.25)
        return self.clock


def _instance(link: Link, bundle: AttestationBundle) -> ManifestInstance:
    run = link.environment.run
    return ManifestInstance(
        task_id=run.task_id,
        map_index=run.map_index,
        state=link.outcome.state,
        set_by_hand=False,
        records=(_reference(link, bundle),),
    )


def _reference(link: Link, bundle: AttestationBundle) -> RecordReference:
    return RecordReference(
        step=link.name,
        try_number=link.environment.run.try_number,
        envelope_sha256=bundle.envelopes["link"].sha256,
        log_index=bundle.receipts["link"].index,
    )


def outcome(**changes: object) -> Outcome:
    """Return that of a success, with ``changes``."""
    nothing: dict[str, object] = {"error": None, "metrics": {}, "kinds": {}, "pulled": {}, "pushed": {}}
    return Outcome(state="success", **{**nothing, **changes})  # type: ignore[arg-type]


def make(folder: Path, *, certified: bool = False) -> None:
    """Write the archive, the policy, the authority of its time-stamps and the report of the run into ``folder``.

    With ``certified`` the worker has no key of its own: what signs is certified, and the policy trusts an identity.
    """
    began = CERTIFIED if certified else BEGAN
    with tempfile.TemporaryDirectory() as home, keyless(Path(home)) as services:
        run = VectorRun(folder, Path(home), began=began, services=services if certified else None)
        _fill(run)
        services.fulcio.clock = lambda: datetime.now(UTC)  # who the worker is, is asked for now
        policy = runs.policy_for(run.settings, name="an example", trust=services.trust if certified else None)
    judged = began + timedelta(hours=1)
    (folder / "policy.yaml").write_bytes(policy)
    (folder / "authority.pem").write_bytes(run.authority.pem)
    report = runs.verify_archive(run.archive, DAG_ID, RUN_ID, Policy.parse(policy), at=judged)
    (folder / "report.json").write_bytes(report.to_bytes())


def _fill(run: VectorRun) -> None:
    store, train = Contents(), "file:///srv/churn/train.csv"
    outputs = {uri: store.describe(uri) for uri in (train, "file:///srv/churn/test.csv")}
    split = Recorded(inputs={}, outputs=outputs, outcome=outcome(pushed={"return_value": PUSHED}))
    run.record("split", ["file:///srv/churn/customers.csv"], split, start=False)
    model = "file:///srv/churn/model"
    well = outcome(metrics={"accuracy": 0.9342}, kinds={model: "model"}, pulled={"split/return_value": PUSHED})
    scratch = Unmeasured(
        uri="s3://scratch.example/steps", reason="the asset is no file, and nothing else can be measured"
    )
    trained = Recorded(inputs={}, outputs={model: store.describe(model)}, outcome=well, unmeasured=[scratch])
    run.record("train", [train], trained, map_index=0, start=True)
    run.end()


if __name__ == "__main__":
    make(Path(sys.argv[1]), certified="--certified" in sys.argv[2:])
