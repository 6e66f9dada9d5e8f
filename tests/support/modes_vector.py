"""Makes ``tests/vectors/format-v1-modes``: the run of ``format_vector``, attested in a session and in a batch.

``split`` is signed in a session, ``train[0]`` and ``train[1]`` are quoted in one batch by the key that the policy
lists. Run it as ``python -m tests.support.modes_vector FOLDER``; and as for that one, never for a released version.
"""

import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from airflow_provider_atlas.attest.execution import Recorded
from airflow_provider_atlas.errors import AttesterError
from airflow_provider_atlas.tee.attester import Attester
from airflow_provider_atlas.tee.batch import fold
from airflow_provider_atlas.tee.evidence import Evidence
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.wiring import runs, sessions, tees, workers
from tests.support.format_vector import DAG_ID, PUSHED, RUN_ID, Contents, VectorRun, outcome


class OneBatch:
    """An attester that is asked twice: who asks first is refused, and all of them get one quote when they ask again."""

    def __init__(self, attester: Attester) -> None:
        self._attester = attester
        self._asked: list[bytes] = []
        self._made: dict[bytes, Evidence] = {}

    def attest(self, report_data: bytes) -> Evidence:
        """Return the place of ``report_data`` in the batch; raise AttesterError as long as it is not made."""
        if report_data not in self._made:
            self._asked.append(report_data)
            raise AttesterError("the batch is not complete yet")
        return self._made[report_data]

    def complete(self) -> None:
        """Make the quote for all who asked."""
        report_data, proofs = fold(self._asked)
        evidence = self._attester.attest(report_data)
        self._made = {leaf: replace(evidence, batch=proof) for leaf, proof in zip(self._asked, proofs, strict=True)}


def make(folder: Path) -> None:
    """Write the archive, the policy and the report of the run into ``folder``."""
    store, train = Contents(), "file:///srv/churn/train.csv"
    with tempfile.TemporaryDirectory() as home:
        # The simulator's endorsements, and the authority's certificates, are of today.
        began = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        run = VectorRun(folder, Path(home), began=began, attester_mode="session")
        attester = tees.attester(run.settings)
        assert attester is not None
        run.sealer.log.append([b"an entry of somebody else, so that there is a beacon"])
        _in_a_session(run, attester)
        outputs = {uri: store.describe(uri) for uri in (train, "file:///srv/churn/test.csv")}
        split = Recorded(inputs={}, outputs=outputs, outcome=outcome(pushed={"return_value": PUSHED}))
        run.record("split", ["file:///srv/churn/customers.csv"], split, start=True)
        _in_a_batch(run, attester, Recorded(inputs={}, outputs={}, outcome=outcome()), [train])
        run.end()
        policy = _policy(run)
    (folder / "policy.yaml").write_bytes(policy)
    report = runs.verify_archive(run.archive, DAG_ID, RUN_ID, Policy.parse(policy), at=began + timedelta(hours=1))
    (folder / "report.json").write_bytes(report.to_bytes())


def _in_a_session(run: VectorRun, attester: Attester) -> None:
    run.sealer = sessions.sealer(
        run.settings,
        signer=lambda: workers.declarer(run.worker).signer,
        attester=attester,
        log=run.sealer.log,
        authority=run.authority,
    )


def _in_a_batch(run: VectorRun, attester: Attester, trained: Recorded, inputs: list[str]) -> None:
    batch = OneBatch(attester)
    declarer = replace(workers.declarer(run.worker), authority=run.authority)
    run.sealer = replace(declarer, attester=batch, batched=True)
    executed = [run.execute("train", inputs, trained, map_index=index, start=False) for index in (0, 1)]
    for link, _, _ in executed:
        try:
            run.sealer.vouch(link)
        except AttesterError:
            continue
        raise AssertionError("expected a batch that is not complete")
    batch.complete()
    for each in executed:
        run.seal(*each)


def _policy(run: VectorRun) -> bytes:
    document = yaml.safe_load(runs.policy_for(run.settings, name="sessions and batches"))
    document["tee"] |= {"modes": ["session", "batch"], "session_max_age": 3600}
    ours = {"name": "ours", "certificates": run.authority.pem.decode()}
    document["timestamps"] = {"link": "required", "within": 60, "authorities": [ours]}
    return yaml.safe_dump(document, sort_keys=False, width=1000).encode()


if __name__ == "__main__":
    make(Path(sys.argv[1]).absolute())
