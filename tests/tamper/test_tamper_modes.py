"""Sessions and batches: one quote for many records tempts to use it for more than it was made for.

The attacker is a worker that lies: the log takes its entries, and where it says *listed* the policy names its key.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from airflow_provider_atlas import merkle
from airflow_provider_atlas.attest.execution import beacon_of
from airflow_provider_atlas.attest.session import open_session
from airflow_provider_atlas.bundle import AttestationBundle, BoundEvidence, vouching_statement
from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.intoto.statement import PAYLOAD_TYPE
from airflow_provider_atlas.signing import dsse
from airflow_provider_atlas.signing.signer import Signer
from airflow_provider_atlas.tee.batch import BatchProof, fold
from airflow_provider_atlas.tee.binding import Purpose
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.wiring import tees, workers
from tests.support.attested_run import AttestedRun, outcome_of
from tests.support.small_run import MemorySigner
from tests.support.time_stamping import Authority

Forge = Callable[[AttestationBundle], AttestationBundle]


@pytest.fixture
def session(tmp_path: Path) -> AttestedRun:
    return AttestedRun(tmp_path, attester_mode="session")


@pytest.fixture
def batch(tmp_path: Path) -> AttestedRun:
    return AttestedRun(tmp_path, attester_mode="batch")


def test_an_honest_session_passes_by_its_evidence_alone(session: AttestedRun) -> None:
    report = session.complete().verify()
    assert outcome_of(report) == {}
    assert report.verdict == "passed"
    sessions = {_bound(bundle).binding.to_json()["nonce"] for _, bundle in session.records.values()}
    assert len(sessions) == 1
    listed = {signer.key for signer in Policy.parse(session.policy_document()).signers}
    assert not listed & {bundle.public_key for _, bundle in session.records.values()}
    assert "4 of 4 records were signed in a session" in " ".join(report.limitations)


def test_an_honest_batch_passes(batch: AttestedRun) -> None:
    report = batch.complete().verify()
    assert outcome_of(report) == {}
    assert {check.detail for check in report.checks if check.number == 4} == {"bound to this link, in a batch"}


@pytest.mark.parametrize("mode", ["session", "batch"])
def test_another_mode_than_the_policy_takes_is_refused(tmp_path: Path, mode: str) -> None:
    run = AttestedRun(tmp_path, attester_mode=mode).complete()
    document = yaml.safe_load(run.policy_document())
    signer = {"name": "listed", "public_key": run.worker.sealer.signer.public_key.pem}
    document["signers"] = [*(item for item in document["signers"] if "public_key" in item), signer]
    del document["tee"]["modes"]
    assert outcome_of(run.verify(_yaml(document)))["binding"] == "failed"
    document["tee"]["modes"] = [mode]
    assert outcome_of(run.verify(_yaml(document))) == {}


def test_a_task_quote_is_refused_where_only_sessions_are_taken(tmp_path: Path) -> None:
    run = AttestedRun(tmp_path).complete()
    assert outcome_of(run.verify(_edited(run, modes=["session"])))["binding"] == "failed"


def test_the_session_of_another_key_is_refused(session: AttestedRun) -> None:
    assert _lies(session, _in_session_of(session, MemorySigner())) == {"signature": "failed"}


def test_another_workers_session_replayed_with_a_listed_key_is_refused(session: AttestedRun) -> None:
    other = workers.worker(session.settings).sealer.session
    listed = workers.declarer(session.worker).signer
    assert other is not None

    def lie(bundle: AttestationBundle) -> AttestationBundle:
        return _by(listed, _with_bound(bundle, other(), listed))

    assert _lies(session, lie) == {"binding": "failed"}


def test_another_workers_session_replayed_with_a_strangers_key_is_refused(session: AttestedRun) -> None:
    other, stranger = session.worker.sealer.session, MemorySigner()
    assert other is not None
    assert _lies(session, lambda bundle: _by(stranger, _with_bound(bundle, other(), stranger))) == {
        "signature": "failed"
    }


def test_a_strangers_key_with_a_quote_for_each_task_is_no_session(session: AttestedRun) -> None:
    stranger = MemorySigner()

    def lie(bundle: AttestationBundle) -> AttestationBundle:
        sealer = replace(session.worker.sealer, signer=stranger, session=None)
        return sealer.vouch(Link.parse(bundle.envelopes["link"].payload))

    assert _lies(session, lie, policy=_edited(session, modes=["task", "session"])) == {"signature": "failed"}


def test_a_strangers_key_with_a_session_counts_where_the_policy_says_so_alone(session: AttestedRun) -> None:
    session.complete()
    document = yaml.safe_load(session.policy_document())
    document["signers"] = [item for item in document["signers"] if "public_key" in item]
    assert outcome_of(session.verify(_yaml(document)))["signature"] == "failed"


def test_a_sessions_quote_with_a_flipped_bit_lets_no_key_count(session: AttestedRun) -> None:
    def lie(bundle: AttestationBundle) -> AttestationBundle:
        bound = _bound(bundle)
        quote = bytearray(bound.evidence.quote)
        quote[200] ^= 1
        forged = replace(bound, evidence=replace(bound.evidence, quote=bytes(quote)))
        return _with_bound(bundle, forged, session.worker.sealer.signer)

    assert _lies(session, lie) == {"signature": "failed"}


def test_a_session_in_a_machine_that_the_policy_does_not_accept_lets_no_key_count(session: AttestedRun) -> None:
    session.complete()
    document = yaml.safe_load(session.policy_document())
    document["tee"]["accept"][0]["measurements"]["mrtd"] = ["00" * 48]
    assert outcome_of(session.verify(_yaml(document)))["signature"] == "failed"


def test_a_manifest_signed_in_a_session_is_refused(session: AttestedRun) -> None:
    session.complete()
    (session.run_folder / "manifest.bundle.json").unlink()
    session.worker = replace(session.worker, sealer=replace(session.worker.sealer, session=None))
    session.end()
    assert outcome_of(session.verify())["manifest"] == "failed"


def test_a_session_that_was_quoted_after_its_key_signed_is_refused(session: AttestedRun) -> None:
    key = session.worker.sealer.signer
    bound = _bound(session.record("ingest", outputs={"table": b"table"}))
    beacon = bound.binding.beacon
    assert beacon is None  # the log was empty
    later = session.worker.sealer.log.latest()
    assert later is not None

    def lie(bundle: AttestationBundle) -> AttestationBundle:
        future = beacon_of(replace(later, size=1000))
        return _with_bound(bundle, _opened(session, key, beacon=future), key)

    assert _lies(session, lie) == {"signature": "failed"}


def test_a_session_of_any_age_passes_where_nobody_asks(session: AttestedRun) -> None:
    assert session.worker.sealer.signer.public_key
    session.clock += timedelta(days=30)
    assert outcome_of(session.complete().verify(at=session.clock)) == {}


@pytest.mark.parametrize(("age", "answer"), [(3500, {}), (3700, {"signature": "failed"})])
def test_too_old_a_session_is_refused(session: AttestedRun, age: int, answer: dict[str, str]) -> None:
    authority = _opened_at(session, Authority())
    session.clock += timedelta(seconds=age)
    assert _lies(session, lambda bundle: bundle, policy=_aging(session, authority)) == answer


def test_a_link_that_was_signed_before_its_session_is_refused(session: AttestedRun) -> None:
    authority = _opened_at(session, Authority())
    session.clock -= timedelta(hours=1)
    assert _lies(session, lambda bundle: bundle, policy=_aging(session, authority)) == {"signature": "failed"}


def test_a_younger_time_stamp_put_beside_an_old_session_is_refused(session: AttestedRun) -> None:
    authority = _opened_at(session, Authority())
    session.clock += timedelta(hours=2)

    def lie(bundle: AttestationBundle) -> AttestationBundle:
        young = authority.stamp(bundle.public_key.spki)
        return _with_bound(bundle, replace(_bound(bundle), timestamp=young), session.worker.sealer.signer)

    assert _lies(session, lie, policy=_aging(session, authority)) == {"signature": "failed"}


def test_a_session_without_a_time_stamp_is_refused_where_its_age_is_asked(session: AttestedRun) -> None:
    assert session.worker.sealer.signer.public_key
    authority = Authority()
    sealer = replace(session.worker.sealer, authority=authority)
    session.worker, authority.clock = replace(session.worker, sealer=sealer), lambda: session.clock
    assert _lies(session, lambda bundle: bundle, policy=_aging(session, authority)) == {"signature": "failed"}


def test_the_time_stamp_of_another_key_is_none(session: AttestedRun) -> None:
    authority = _opened_at(session, Authority())
    key = session.worker.sealer.signer

    class Confused(Authority):
        def stamp(self, message: bytes) -> bytes:  # noqa: ARG002 - it is another's that it stamps
            return authority.stamp(MemorySigner().public_key.spki)

    def lie(bundle: AttestationBundle) -> AttestationBundle:
        return _with_bound(bundle, _opened(session, key, authority=Confused()), key)

    assert _lies(session, lie, policy=_aging(session, authority)) == {"signature": "failed"}


@pytest.mark.parametrize(
    "changes",
    [
        {"modes": ["session"], "session_max_age": 60},  # without time-stamps
        {"modes": ["task"], "session_max_age": 60},
        {"modes": ["task", "batch"]},  # with a signer that a session attests
        {"modes": []},
        {"modes": ["session", "session"]},
        {"modes": ["boot"]},
        {"modes": ["session"], "session_max_age": 0},
    ],
)
def test_a_policy_that_no_session_could_satisfy_is_refused(session: AttestedRun, changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Policy.parse(_edited(session, **changes))


@pytest.mark.parametrize("others", [1, 2, 6])
def test_a_record_among_others_in_its_batch_passes(batch: AttestedRun, others: int) -> None:
    assert _lies(batch, _batched(batch, lambda proofs: proofs[others], others=others)) == {}


@pytest.mark.parametrize(
    "swap",
    [
        pytest.param(lambda proofs: proofs[0], id="another leaf"),
        pytest.param(lambda proofs: replace(proofs[2], index=1), id="another index"),
        pytest.param(lambda proofs: replace(proofs[2], index=3), id="an index beyond the batch"),
        pytest.param(lambda proofs: replace(proofs[2], size=4), id="a larger batch"),
        pytest.param(lambda proofs: replace(proofs[2], index=0, size=1), id="a batch of one"),
        pytest.param(lambda proofs: replace(proofs[2], hashes=proofs[2].hashes[:-1]), id="a shorter proof"),
        pytest.param(lambda proofs: replace(proofs[2], hashes=(*proofs[2].hashes, bytes(32))), id="a longer proof"),
        pytest.param(lambda proofs: replace(proofs[2], hashes=(bytes(32),)), id="another hash"),
    ],
)
def test_a_batch_proof_of_something_else_is_refused(
    batch: AttestedRun, swap: Callable[[list[BatchProof]], BatchProof]
) -> None:
    assert _lies(batch, _batched(batch, swap, others=2)) == {"binding": "failed"}


def test_a_leaf_that_spells_a_node_proves_nothing(batch: AttestedRun) -> None:
    """Whoever shares the batch asks for 64 bytes that are two hashes, so that a node of his own tree looks a leaf."""

    def lie(bundle: AttestationBundle) -> AttestationBundle:
        own = merkle.leaf_hash(_bound(bundle).binding.report_data())
        chosen = own + bytes(32)  # as a node, it would be above this record, which the batch does not hold
        report_data, _ = fold([chosen])
        proof = BatchProof(index=0, size=2, hashes=(bytes(32),))
        return _quoted(batch, bundle, report_data, proof)

    assert _lies(batch, lie) == {"binding": "failed"}


def test_a_quote_of_a_batch_is_none_of_a_task(batch: AttestedRun) -> None:
    def lie(bundle: AttestationBundle) -> AttestationBundle:
        bound = _bound(bundle)
        return _with_bound(bundle, _of(bound, "task", proof=None), batch.worker.sealer.signer)

    assert _lies(batch, lie, policy=_edited(batch, modes=["task", "batch"])) == {"binding": "failed"}


def test_a_quote_of_a_task_is_none_of_a_batch(batch: AttestedRun) -> None:
    def lie(bundle: AttestationBundle) -> AttestationBundle:
        leaf = _bound(bundle).binding.report_data()
        return _quoted(batch, bundle, leaf, BatchProof(index=0, size=1, hashes=()))

    assert _lies(batch, lie) == {"binding": "failed"}


@pytest.mark.parametrize(
    ("purpose", "proof"), [("task", None), ("batch", BatchProof(index=0, size=1, hashes=()))], ids=["task", "batch"]
)
def test_a_sessions_quote_is_none_of_a_task_or_a_batch(
    session: AttestedRun, purpose: Purpose, proof: BatchProof | None
) -> None:
    listed = workers.declarer(session.worker).signer

    def lie(bundle: AttestationBundle) -> AttestationBundle:
        link = Link.parse(bundle.envelopes["link"].payload)
        return _by(listed, _with_bound(bundle, _of(_bound(bundle), purpose, proof=proof, link=link), listed))

    policy = _edited(session, modes=["task", "session", "batch"])
    assert _lies(session, lie, policy=policy) == {"binding": "failed"}


@pytest.mark.parametrize("mode", ["session", "batch"])
def test_a_flipped_bit_anywhere_in_such_a_record_is_refused(tmp_path: Path, mode: str) -> None:
    run = AttestedRun(tmp_path, attester_mode=mode).stamped_by(Authority()).complete()
    path = run.run_folder / "tasks" / "ingest" / "1.bundle.json"
    content, policy = path.read_bytes(), run.policy_document()
    for place in range(0, len(content), 397):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        answers = outcome_of(run.verify(policy))
        # Nobody asked for time-stamps, so nobody looks at the link's; the session's is part of what was quoted.
        assert answers or b'"timestamps"' in content[:place], (place, content[place - 40 : place + 40])


def _bound(bundle: AttestationBundle) -> BoundEvidence:
    assert bundle.bound_evidence is not None
    return bundle.bound_evidence


def _with_bound(bundle: AttestationBundle, bound: BoundEvidence, signer: Signer) -> AttestationBundle:
    link = Link.parse(bundle.envelopes["link"].payload)
    statement = vouching_statement(link.name, bundle.envelopes["link"], bound).to_bytes()
    envelopes = {**bundle.envelopes, "tee": dsse.sign(statement, PAYLOAD_TYPE, signer)}
    return replace(bundle, envelopes=envelopes, bound_evidence=bound)


def _by(signer: Signer, bundle: AttestationBundle) -> AttestationBundle:
    """Return the record signed by ``signer``, with a TEE statement that fits."""
    envelopes = {role: dsse.sign(item.payload, PAYLOAD_TYPE, signer) for role, item in bundle.envelopes.items()}
    signed = replace(bundle, envelopes=envelopes, public_key=signer.public_key)
    return _with_bound(signed, _bound(bundle), signer)


def _opened(run: AttestedRun, key: Signer, **changes: object) -> BoundEvidence:
    attester = tees.attester(run.settings)
    assert attester is not None
    given: dict[str, object] = {"beacon": None, "nonce": bytes(16), "authority": None, **changes}
    return open_session(key.public_key, attester, **given)  # type: ignore[arg-type]


def _in_session_of(run: AttestedRun, other: Signer) -> Forge:
    return lambda bundle: _with_bound(bundle, _opened(run, other), run.worker.sealer.signer)


def _opened_at(run: AttestedRun, authority: Authority) -> Authority:
    """Open the session now, by a clock that an authority confirms."""
    run.stamped_by(authority)
    assert run.worker.sealer.signer.public_key
    return authority


def _quoted(run: AttestedRun, bundle: AttestationBundle, report_data: bytes, proof: BatchProof) -> AttestationBundle:
    attester = tees.attester(run.settings)
    assert attester is not None
    evidence = replace(attester.attest(report_data), batch=proof)
    return _with_bound(bundle, replace(_bound(bundle), evidence=evidence), run.worker.sealer.signer)


def _batched(run: AttestedRun, choose: Callable[[list[BatchProof]], BatchProof], *, others: int) -> Forge:
    """The last of a batch after ``others``, with the proof that ``choose`` picks."""

    def forge(bundle: AttestationBundle) -> AttestationBundle:
        leaves = [bytes([number]) * 64 for number in range(others)]
        report_data, proofs = fold([*leaves, _bound(bundle).binding.report_data()])
        return _quoted(run, bundle, report_data, choose(list(proofs)))

    return forge


def _of(bound: BoundEvidence, purpose: Purpose, *, proof: BatchProof | None, link: Link | None = None) -> BoundEvidence:
    """The same quote, said to be for another purpose."""
    statement = bound.binding.statement or bytes(32)
    binding = replace(bound.binding, purpose=purpose, statement=statement)
    if link is not None:
        binding = replace(binding, nonce=link.environment.nonce, beacon=link.environment.beacon)
    return replace(bound, binding=binding, evidence=replace(bound.evidence, batch=proof), timestamp=None)


def _yaml(document: object) -> bytes:
    return yaml.safe_dump(document).encode()


def _edited(run: AttestedRun, **tee: object) -> bytes:
    document = yaml.safe_load(run.policy_document())
    return _yaml({**document, "tee": {**document["tee"], **tee}})


def _aging(run: AttestedRun, authority: Authority) -> bytes:
    """A policy by which no session may be older than an hour."""
    document = yaml.safe_load(run.policy_document())
    document["tee"]["session_max_age"] = 3600
    ours = {"name": "ours", "certificates": authority.pem.decode()}
    document["timestamps"] = {"link": "required", "within": 3600, "authorities": [ours]}
    return _yaml(document)


def _lies(run: AttestedRun, forge: Forge, *, policy: bytes | None = None) -> dict[str, str]:
    """What is said against the record of ``train[0]``, which ``forge`` made, by questions that got an answer."""
    run.record("train", outputs={"model": b"m"}, map_index=0, forge=forge)
    report = run.verify(policy, at=run.clock + timedelta(minutes=5))
    return {
        check.name: check.status
        for check in report.failures
        if check.subject.startswith("train") and check.status == "failed"
    }
