"""A run made without Airflow, of the real parts: files, a key, the simulated TEE, the posix log, the archive.

Three tasks hand files on: ``ingest → train[0], train[1] → publish``. Every step may be told to lie, which is what the
tests under ``tests/tamper`` do: a worker with a trusted key that lies in one way at a time.
"""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow_provider_atlas.artifacts.archive import MANIFEST, run_path
from airflow_provider_atlas.artifacts.uri import artifact_uri
from airflow_provider_atlas.attest.execution import (
    Recorded,
    Surroundings,
    Upstream,
    beacon_of,
    begin,
    finish,
    with_start,
)
from airflow_provider_atlas.attest.pending import Attachments, PendingRecord, keep
from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.intoto.environment import CodeIdentity, Platform, RecordReference
from airflow_provider_atlas.intoto.link import Link, Outcome
from airflow_provider_atlas.intoto.pipeline import Pipeline, PipelineTask
from airflow_provider_atlas.intoto.run_manifest import ManifestInstance, RunManifest
from airflow_provider_atlas.intoto.task_run import UNMAPPED, TaskRun
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.verify.identity_policy import IdentityTrust
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.report import VerificationReport
from airflow_provider_atlas.verify.run import Gate
from airflow_provider_atlas.wiring import runs, sessions, tees, workers
from tests.support.time_stamping import Authority

NOW = datetime.now(UTC).replace(microsecond=0)
DEPLOYMENT, DAG_ID, RUN_ID = "tests", "tiny", "manual__2026-11-01T12:00:00+00:00"


def _task(operator: str, *upstream: str, mapped: bool = False) -> PipelineTask:
    return PipelineTask(operator=operator, upstream=upstream, mapped=mapped, empty=False, waits=True)


PIPELINE = Pipeline(
    dag_id=DAG_ID,
    tasks={
        "ingest": _task("tests.Ingest"),
        "train": _task("tests.Train", "ingest", mapped=True),
        "publish": _task("tests.Publish", "train"),
    },
)
SHA = hashlib.sha256(b"").hexdigest()


class AttestedRun:
    """A run in ``folder``; ``record`` adds one, ``end`` writes the manifest, ``verify`` judges it all."""

    def __init__(
        self,
        folder: Path,
        *,
        run_id: str = RUN_ID,
        attester: str | None = None,
        trust: IdentityTrust | None = None,
        **section: str,
    ) -> None:
        self.folder = folder
        self.trust = trust
        self.run_id = run_id
        self.settings = Settings.parse(
            {"deployment": DEPLOYMENT, "attester": attester or f"simulated:{folder}/tee", **section}, home=str(folder)
        )
        self.worker = workers.worker(self.settings)
        self.records: dict[str, tuple[Link, AttestationBundle]] = {}
        self.pipeline = PIPELINE
        self.clock = NOW

    def stamped_by(self, authority: Authority) -> "AttestedRun":
        """Have each record from now on stamped by ``authority``, whose clock is this run's."""
        authority.clock = lambda: self.clock
        sealer = sessions.sealer(
            self.settings,
            signer=lambda: self.worker.sealer.signer,
            attester=tees.attester(self.settings),
            log=self.worker.sealer.log,
            authority=authority,
        )
        self.worker = replace(self.worker, sealer=sealer)
        return self

    def uri(self, name: str) -> str:
        """The URI of the file ``name`` of this run."""
        return artifact_uri(str(self.folder / "data" / name))

    def write(self, name: str, content: bytes) -> str:
        path = self.folder / "data" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return self.uri(name)

    def record(
        self,
        task_id: str,
        inputs: Sequence[str] = (),
        outputs: Mapping[str, bytes] | None = None,
        *,
        map_index: int = UNMAPPED,
        try_number: int = 1,
        state: str = "success",
        start: bool = False,
        pulled: Mapping[str, str] | None = None,
        pushed: Mapping[str, str] | None = None,
        lie: Callable[[Link], Link] = lambda link: link,
        forge: Callable[[AttestationBundle], AttestationBundle] = lambda bundle: bundle,
    ) -> AttestationBundle:
        """Run one try of a task that writes ``outputs``; ``lie`` changes its link, ``forge`` its unlogged bundle."""
        sealer = self.worker.sealer
        surroundings = self._surroundings(task_id, map_index, try_number)
        upstream = [
            Upstream(reference=_reference(link, bundle), products=link.products)
            for link, bundle in self.records.values()
            if link.environment.run.task_id in self.pipeline.tasks[task_id].upstream
        ]
        started = begin(
            surroundings,
            inputs=[self.uri(name) for name in inputs],
            store=self.worker.store,
            upstream=upstream,
            now=self._tick(),
        )
        begun = sealer.enter(sealer.declare("start", started.statement())) if start else None
        if begun:
            started = with_start(started, begun.envelopes["start"].sha256, begun.receipts["start"].index)
        written = [self.write(name, content) for name, content in (outputs or {}).items()]
        recorded = Recorded(
            inputs={},
            outputs={uri: self.worker.store.describe(uri) for uri in written},
            outcome=Outcome(
                state=state,
                error=None if state == "success" else "ValueError",
                metrics={"accuracy": 0.5},
                kinds={},
                pulled=pulled or {},
                pushed=pushed or {},
            ),
        )
        link = lie(finish(started, recorded, now=self._tick()))
        bundle = sealer.stamp(sealer.enter(forge(sealer.vouch(link, begun))))
        self.keep(link, bundle)
        return bundle

    def keep(self, link: Link, bundle: AttestationBundle) -> None:
        """Archive a record as the worker would."""
        attachments = Attachments(pipeline=self.pipeline.to_bytes(), openings=b"{}")
        keep(PendingRecord(link=link, attachments=attachments, bundle=bundle), self.worker.archive)
        self.records[link.name] = (link, bundle)

    def end(self, change: Callable[[RunManifest], RunManifest] = lambda manifest: manifest) -> RunManifest:
        """Write the run manifest, which ``change`` may falsify."""
        instances = [
            ManifestInstance(
                task_id=link.environment.run.task_id,
                map_index=link.environment.run.map_index,
                state=link.outcome.state,
                set_by_hand=False,
                records=(_reference(link, bundle),),
            )
            for link, bundle in self.records.values()
        ]
        manifest = change(
            RunManifest(
                deployment=DEPLOYMENT,
                dag_id=DAG_ID,
                run_id=self.run_id,
                state="success",
                finished=self._tick(),
                pipeline_sha256=self.pipeline.sha256,
                instances=instances,
            )
        )
        sealer = workers.declarer(self.worker)
        bundle = sealer.enter(sealer.declare("manifest", manifest.to_statement()))
        self.worker.archive.put((*run_path(DAG_ID, self.run_id), MANIFEST), bundle.to_bytes())
        return manifest

    def complete(self) -> "AttestedRun":
        """Run the whole pipeline, honestly."""
        self.write("raw.csv", b"1,2,3\n")
        self.record("ingest", ["raw.csv"], {"table": b"table"}, pushed={"return_value": SHA})
        for index in (0, 1):
            self.record("train", ["table"], {f"model-{index}": b"model %d" % index}, map_index=index)
        self.record(
            "publish", ["model-0", "model-1"], {"best": b"best"}, start=True, pulled={"ingest/return_value": SHA}
        )
        self.end()
        return self

    @property
    def run_folder(self) -> Path:
        """Where the records of this run lie."""
        return self.folder.joinpath("archive", *run_path(DAG_ID, self.run_id))

    def policy_document(self) -> bytes:
        """A policy that trusts this run's key (or its worker, by ``trust``), log and simulator, and nothing else."""
        return runs.policy_for(self.settings, name="tests", trust=self.trust)

    def verify(
        self, policy: bytes | None = None, *, gate: Gate | None = None, at: datetime | None = None
    ) -> VerificationReport:
        """Verify this run, with its own policy or another."""
        return runs.verify_archive(
            self.worker.archive,
            DAG_ID,
            self.run_id,
            Policy.parse(policy or self.policy_document()),
            at=at or NOW + timedelta(minutes=5),
            gate=gate,
        )

    def _surroundings(self, task_id: str, map_index: int, try_number: int) -> Surroundings:
        checkpoint = self.worker.sealer.log.latest()
        return Surroundings(
            run=TaskRun(
                deployment=DEPLOYMENT,
                dag_id=DAG_ID,
                run_id=self.run_id,
                task_id=task_id,
                map_index=map_index,
                try_number=try_number,
                ti_id=f"{task_id}-{map_index}-{try_number}",
                logical_date=None,
            ),
            operator=self.pipeline.tasks[task_id].operator,
            code=CodeIdentity(
                bundle_name="tests", bundle_version=None, files_sha256=SHA, pipeline_sha256=self.pipeline.sha256
            ),
            platform=Platform(python="3.11", airflow="3.3.2", atlas="0", distributions_sha256=SHA, image=None),
            parameters={"rate": SHA},
            beacon=beacon_of(checkpoint),
            nonce=os.urandom(16),
            resumed=False,
        )

    def _tick(self) -> datetime:
        self.clock += timedelta(seconds=1)
        return self.clock


def _reference(link: Link, bundle: AttestationBundle) -> RecordReference:
    run = link.environment.run
    receipt = bundle.receipts.get("link")
    return RecordReference(
        step=run.step,
        try_number=run.try_number,
        envelope_sha256=bundle.envelopes["link"].sha256,
        log_index=receipt.index if receipt else None,
    )


def outcome_of(report: VerificationReport) -> dict[str, str]:
    """Every question that was not answered well, by name: the worst answer anybody gave to it."""
    return {check.name: check.status for check in reversed(report.failures)}


replace = dataclasses.replace
