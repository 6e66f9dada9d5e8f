"""For each of the thirteen questions, an attack that this question alone refuses.

The attacker mostly is a worker: it holds a trusted key and the log accepts its entries, so signature and inclusion
hold, and only the question at hand stands in its way. Delete a check, and its test here fails.
"""

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from airflow_provider_atlas.bundle import AttestationBundle, BoundEvidence, vouching_statement
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.intoto.pipeline import PipelineTask
from airflow_provider_atlas.intoto.provenance import provenance_of
from airflow_provider_atlas.intoto.run_manifest import ManifestInstance, RunManifest
from airflow_provider_atlas.intoto.statement import PAYLOAD_TYPE, Statement
from airflow_provider_atlas.signing import dsse
from airflow_provider_atlas.verify.report import VerificationReport
from airflow_provider_atlas.verify.run import Gate
from tests.support.attested_run import PIPELINE, RUN_ID, SHA, AttestedRun, outcome_of

OTHER = "11" * 32


@pytest.fixture
def run(tmp_path: Path) -> AttestedRun:
    return AttestedRun(tmp_path)


def _answers(report: VerificationReport, number: int) -> set[str]:
    return {check.status for check in report.checks if check.number == number}


def test_an_honest_run_passes_every_question(run: AttestedRun) -> None:
    report = run.complete().verify()
    assert outcome_of(report) == {}
    assert report.verdict == "passed"
    assert report.exit_code == 0
    assert report.development
    assert {check.number for check in report.checks} == set(range(1, 14))
    assert {check.status for check in report.checks} == {"passed"}


def test_a_strangers_key_signs_nothing(run: AttestedRun, tmp_path: Path) -> None:
    stranger = yaml.safe_load(AttestedRun(tmp_path / "stranger").policy_document())
    report = run.complete().verify(_edited(run, signers=stranger["signers"]))
    assert _answers(report, 1) == {"failed"}
    assert report.verdict == "failed"


def test_a_changed_digest_breaks_the_signature(run: AttestedRun) -> None:
    run.complete()
    path = run.run_folder / "tasks" / "ingest" / "1.bundle.json"
    bundle = AttestationBundle.parse(path.read_bytes())
    link = Link.parse(bundle.envelopes["link"].payload)
    uri, digest = next(iter(link.products.items()))
    forged = replace(link, products={uri: digest[:-1] + ("0" if digest[-1] != "0" else "1")})
    envelope = replace(bundle.envelopes["link"], payload=forged.to_bytes())
    path.write_bytes(replace(bundle, envelopes={**bundle.envelopes, "link": envelope}).to_bytes())
    assert ("signature", "failed") in outcome_of(run.verify()).items()


def test_a_flipped_bit_anywhere_in_a_record_is_refused(run: AttestedRun) -> None:
    path = run.complete().run_folder / "tasks" / "publish" / "1.bundle.json"
    content = path.read_bytes()
    policy = run.policy_document()
    for place in range(0, len(content), 211):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert run.verify(policy).verdict != "passed", (place, content[place - 40 : place + 40])


def test_provenance_that_tells_another_story_is_refused(run: AttestedRun) -> None:
    def lie(bundle: AttestationBundle) -> AttestationBundle:
        link = Link.parse(bundle.envelopes["link"].payload)
        other = provenance_of(replace(link, products={run.uri("table"): OTHER})).to_bytes()
        return _with(bundle, "provenance", other, run)

    assert _only_one_lies(run, forge=lie) == {"statement": "failed"}


def test_a_tee_statement_about_another_link_is_refused(run: AttestedRun) -> None:
    def lie(bundle: AttestationBundle) -> AttestationBundle:
        bound = _bound(bundle)
        other = vouching_statement("another", bundle.envelopes["link"], bound).to_bytes()
        return _with(bundle, "tee", other, run)

    assert _only_one_lies(run, forge=lie) == {"statement": "failed"}


def test_a_start_record_with_other_inputs_is_refused(run: AttestedRun) -> None:
    def lie(link: Link) -> Link:
        return replace(link, materials={**link.materials, run.uri("raw.csv"): OTHER})

    assert _only_one_lies(run, lie=lie, start=True) == {"statement": "failed"}


def test_a_link_that_drops_its_start_record_is_refused(run: AttestedRun) -> None:
    def lie(link: Link) -> Link:
        return replace(link, environment=replace(link.environment, start=None))

    assert _only_one_lies(run, lie=lie, start=True) == {"statement": "failed"}


def test_a_policy_that_asks_for_a_start_record_gets_one_or_refuses(run: AttestedRun) -> None:
    policy = run.complete().policy_document().replace(b"start: optional", b"start: required")
    assert outcome_of(run.verify(policy))["statement"] == "failed"


def test_a_link_without_its_run_is_refused(run: AttestedRun) -> None:
    def lie(link: Link) -> Link:
        return replace(link, materials=dict(link.inputs))

    assert _only_one_lies(run, lie=lie) == {"statement": "failed"}


def test_a_quote_with_a_flipped_bit_is_no_evidence(run: AttestedRun) -> None:
    def lie(bundle: AttestationBundle) -> AttestationBundle:
        quote = bytearray(_bound(bundle).evidence.quote)
        quote[200] ^= 1
        return _with_evidence(bundle, replace(_bound(bundle).evidence, quote=bytes(quote)), run)

    assert _only_one_lies(run, forge=lie) == {
        "evidence": "failed",
        "binding": "not-reached",
        "appraisal": "not-reached",
    }


def test_a_simulator_that_calls_itself_hardware_is_refused(run: AttestedRun) -> None:
    def lie(bundle: AttestationBundle) -> AttestationBundle:
        return _with_evidence(bundle, replace(_bound(bundle).evidence, provider="tsm"), run)

    assert _only_one_lies(run, forge=lie)["evidence"] == "failed"


def test_the_simulators_root_is_refused_by_a_policy_that_does_not_name_it(run: AttestedRun) -> None:
    tee = yaml.safe_load(run.complete().policy_document())["tee"]
    del tee["accept"][0]["development_roots"]
    assert _answers(run.verify(_edited(run, tee=tee)), 3) == {"failed"}


def test_a_record_without_evidence_fails_a_policy_that_asks_for_it(run: AttestedRun, tmp_path: Path) -> None:
    bare = AttestedRun(tmp_path / "bare", attester="none:").complete()
    assert bare.verify().verdict == "passed"
    asking = _edited(bare, tee=yaml.safe_load(run.policy_document())["tee"])
    assert _answers(bare.verify(asking), 3) == {"failed"}


def test_a_genuine_quote_for_something_else_is_not_bound(run: AttestedRun) -> None:
    def lie(bundle: AttestationBundle) -> AttestationBundle:
        attester = run.worker.sealer.attester
        assert attester is not None
        return _with_evidence(bundle, attester.attest(bytes(64)), run)

    assert _only_one_lies(run, forge=lie) == {"binding": "failed"}


@pytest.mark.parametrize("field", ["statement", "key", "nonce", "beacon"])
def test_a_quote_for_another_statement_key_nonce_or_beacon_is_refused(run: AttestedRun, field: str) -> None:
    def lie(bundle: AttestationBundle) -> AttestationBundle:
        attester, binding = run.worker.sealer.attester, _bound(bundle).binding
        assert attester is not None
        other = {"statement": bytes(32), "key": bytes(32), "nonce": bytes(16), "beacon": None}[field]
        forged = dataclasses.replace(binding, **{field: other})
        bound = BoundEvidence(evidence=attester.attest(forged.report_data()), binding=forged)
        return _with_bound(bundle, bound, run)

    # The first task has no beacon: the log was empty. So the second one lies.
    assert _second_lies(run, forge=lie) == {"binding": "failed"}


def test_a_measurement_that_is_no_reference_value_is_refused(run: AttestedRun) -> None:
    tee = yaml.safe_load(run.complete().policy_document())["tee"]
    tee["accept"][0]["measurements"]["mrtd"] = ["00" * 48]
    report = run.verify(_edited(run, tee=tee))
    assert outcome_of(report)["appraisal"] == "failed"
    assert _answers(report, 3) == _answers(report, 4) == {"passed"}


def test_one_simulators_root_does_not_serve_anothers_measurements(run: AttestedRun, tmp_path: Path) -> None:
    other = yaml.safe_load(AttestedRun(tmp_path / "stranger").policy_document())["tee"]["accept"][0]
    tee = yaml.safe_load(run.complete().policy_document())["tee"]
    own = tee["accept"][0]
    tee["accept"] = [
        {**own, "measurements": {"mrtd": ["00" * 48]}},
        {**own, "development_roots": other["development_roots"]},
    ]
    assert outcome_of(run.verify(_edited(run, tee=tee)))["appraisal"] == "failed"


def test_a_receipt_of_another_record_proves_nothing(run: AttestedRun) -> None:
    run.complete()
    first, second = (run.run_folder / "tasks" / step / "1.bundle.json" for step in ("ingest", "publish"))
    receipts = AttestationBundle.parse(second.read_bytes()).receipts
    bundle = AttestationBundle.parse(first.read_bytes())
    swapped = {**bundle.receipts, "link": receipts["link"]}
    first.write_bytes(replace(bundle, receipts=swapped).to_bytes())
    assert outcome_of(run.verify())["inclusion"] == "failed"


def test_a_log_that_the_policy_does_not_name_proves_nothing(run: AttestedRun, tmp_path: Path) -> None:
    stranger = yaml.safe_load(AttestedRun(tmp_path / "stranger").policy_document())
    report = run.complete().verify(_edited(run, logs=stranger["logs"]))
    assert _answers(report, 6) == {"failed"}


def test_a_record_that_is_not_logged_decides_nothing(run: AttestedRun) -> None:
    run.complete()
    path = run.run_folder / "tasks" / "ingest" / "1.bundle.json"
    path.write_bytes(replace(AttestationBundle.parse(path.read_bytes()), receipts={}).to_bytes())
    report = run.verify()
    assert outcome_of(report)["inclusion"] == "not-reached"
    assert (report.verdict, report.exit_code) == ("undecided", 3)


def test_a_start_that_was_logged_after_its_end_is_refused(run: AttestedRun) -> None:
    def lie(link: Link) -> Link:
        start = link.environment.start
        assert start is not None
        return replace(link, environment=replace(link.environment, start=replace(start, log_index=99)))

    assert _only_one_lies(run, lie=lie, start=True)["inclusion"] == "failed"


def test_a_beacon_from_the_future_is_refused(run: AttestedRun) -> None:
    def lie(link: Link) -> Link:
        beacon = link.environment.beacon
        assert beacon is not None
        return replace(link, environment=replace(link.environment, beacon=replace(beacon, size=1000)))

    assert _second_lies(run, lie=lie)["inclusion"] == "failed"


def test_a_file_that_was_changed_afterwards_is_noticed(run: AttestedRun) -> None:
    run.complete().write("best", b"another model")
    assert outcome_of(run.verify()) == {"artifacts": "failed"}


def test_a_file_that_is_gone_counts_when_the_policy_asks_for_it(run: AttestedRun) -> None:
    policy = run.complete().policy_document()
    (run.folder / "data" / "best").unlink()
    assert run.verify().verdict == "passed"
    report = run.verify(policy.replace(b"artifacts: present", b"artifacts: required"))
    assert outcome_of(report) == {"artifacts": "not-reached"}


def test_a_run_without_its_manifest_is_not_decided(run: AttestedRun) -> None:
    run.complete()
    (run.run_folder / "manifest.bundle.json").unlink()
    report = run.verify()
    assert outcome_of(report)["manifest"] == "not-reached"
    assert report.exit_code == 3


def test_a_manifest_that_was_changed_is_refused(run: AttestedRun) -> None:
    run.complete()
    path = run.run_folder / "manifest.bundle.json"
    bundle = AttestationBundle.parse(path.read_bytes())
    manifest = RunManifest.from_statement(Statement.parse(bundle.envelopes["manifest"].payload))
    payload = replace(manifest, instances=manifest.instances[:1]).to_statement().to_bytes()
    envelope = replace(bundle.envelopes["manifest"], payload=payload)
    path.write_bytes(replace(bundle, envelopes={"manifest": envelope}).to_bytes())
    assert outcome_of(run.verify())["manifest"] == "failed"


def test_a_genuine_record_of_another_run_is_foreign(tmp_path: Path) -> None:
    run = AttestedRun(tmp_path).complete()
    other = AttestedRun(tmp_path, run_id="manual__other").complete()
    target = run.run_folder / "tasks" / "ingest" / "1.bundle.json"
    shutil.copy(other.run_folder / "tasks" / "ingest" / "1.bundle.json", target)
    assert outcome_of(run.verify())["identity"] == "failed"


def test_another_run_in_this_ones_place_is_foreign(tmp_path: Path) -> None:
    run = AttestedRun(tmp_path).complete()
    other = AttestedRun(tmp_path, run_id="manual__other").complete()
    shutil.rmtree(run.run_folder)
    shutil.copytree(other.run_folder, run.run_folder)
    assert outcome_of(run.verify()) == {"identity": "failed"}


def test_a_record_in_another_tasks_place_is_refused(run: AttestedRun) -> None:
    run.complete()
    tasks = run.run_folder / "tasks"
    shutil.copytree(tasks / "ingest", tasks / "elsewhere")
    assert outcome_of(run.verify())["identity"] == "failed"


def test_records_of_two_pipelines_make_no_run(run: AttestedRun) -> None:
    def lie(link: Link) -> Link:
        code = replace(link.environment.code, pipeline_sha256=OTHER)
        return replace(link, environment=replace(link.environment, code=code))

    assert _only_one_lies(run, lie=lie)["pipeline"] == "failed"


def test_a_record_that_is_gone_is_missed(run: AttestedRun) -> None:
    run.complete()
    shutil.rmtree(run.run_folder / "tasks" / "publish")
    assert outcome_of(run.verify()) == {"completeness": "failed"}


def test_a_task_that_the_manifest_forgets_is_missed(run: AttestedRun) -> None:
    run.write("raw.csv", b"1\n")
    run.record("ingest", ["raw.csv"], {"table": b"t"})
    run.end()
    assert outcome_of(run.verify()) == {"completeness": "failed"}


def test_a_start_without_an_end_is_missed(run: AttestedRun) -> None:
    run.complete()
    (run.run_folder / "tasks" / "publish" / "2.start.json").write_bytes(b"{}")
    assert outcome_of(run.verify()) == {"completeness": "failed"}


def test_a_record_that_the_manifest_does_not_name_is_a_stranger(run: AttestedRun) -> None:
    run.write("raw.csv", b"1\n")
    run.complete()
    run.record("publish", ["model-0"], try_number=2)
    assert outcome_of(run.verify()) == {"completeness": "failed"}


def test_an_empty_manifest_is_no_consent(run: AttestedRun) -> None:
    run.complete()
    (run.run_folder / "manifest.bundle.json").unlink()
    run.end(lambda manifest: replace(manifest, instances=()))
    assert outcome_of(run.verify()) == {"completeness": "failed"}


def test_a_manifest_that_names_no_records_is_no_consent(run: AttestedRun) -> None:
    run.complete()
    (run.run_folder / "manifest.bundle.json").unlink()
    run.end(
        lambda manifest: replace(
            manifest, instances=[replace(item, records=()) for item in manifest.instances if item.task_id != "train"]
        )
    )
    assert outcome_of(run.verify()) == {"completeness": "failed"}


def test_an_empty_task_does_not_hide_the_upstream_behind_it(run: AttestedRun) -> None:
    gap = PipelineTask(operator="Empty", upstream=("ingest",), mapped=False, empty=True, waits=True)
    after = replace(PIPELINE.tasks["publish"], upstream=("gap",))
    run.pipeline = replace(PIPELINE, tasks={"ingest": PIPELINE.tasks["ingest"], "gap": gap, "publish": after})
    run.record("ingest", outputs={"table": b"t"})
    run.record("publish")
    run.end(lambda manifest: replace(manifest, instances=[*manifest.instances, _settled("gap")]))
    assert outcome_of(run.verify()) == {"lineage": "failed"}


def test_a_task_that_does_not_name_its_upstream_is_not_linked(run: AttestedRun) -> None:
    def lie(link: Link) -> Link:
        return replace(link, environment=replace(link.environment, upstream=()))

    assert _second_lies(run, lie=lie) == {"lineage": "failed"}


def test_a_task_that_names_a_record_which_is_not_there_is_not_linked(run: AttestedRun) -> None:
    def lie(link: Link) -> Link:
        upstream = tuple(replace(item, envelope_sha256=OTHER) for item in link.environment.upstream)
        return replace(link, environment=replace(link.environment, upstream=upstream))

    assert _second_lies(run, lie=lie) == {"lineage": "failed"}


def test_an_input_that_is_not_what_the_upstream_made_breaks_the_lineage(run: AttestedRun) -> None:
    def lie(link: Link) -> Link:
        return replace(link, materials={**link.materials, run.uri("table"): OTHER})

    assert _second_lies(run, lie=lie)["lineage"] == "failed"


def test_an_xcom_that_is_not_what_the_upstream_pushed_breaks_the_lineage(run: AttestedRun) -> None:
    def lie(link: Link) -> Link:
        return replace(link, outcome=replace(link.outcome, pulled={"ingest/return_value": OTHER}))

    assert _second_lies(run, lie=lie) == {"lineage": "failed"}


def test_a_task_that_failed_is_not_a_good_outcome(run: AttestedRun) -> None:
    run.write("raw.csv", b"1\n")
    run.record("ingest", ["raw.csv"], {"table": b"t"}, pushed={"return_value": SHA})
    run.record("train", ["table"], map_index=0, state="failed")
    run.record("publish")
    run.end()
    assert outcome_of(run.verify()) == {"outcome": "failed"}


def test_a_state_that_was_set_by_hand_is_not_a_good_outcome(run: AttestedRun) -> None:
    run.complete()
    (run.run_folder / "manifest.bundle.json").unlink()
    run.end(
        lambda manifest: replace(manifest, instances=[replace(item, set_by_hand=True) for item in manifest.instances])
    )
    assert outcome_of(run.verify()) == {"outcome": "failed"}


def test_a_gate_judges_what_was_before_it(run: AttestedRun) -> None:
    run.write("raw.csv", b"1\n")
    run.record("ingest", ["raw.csv"], {"table": b"t"})
    gate = Gate(task_id="publish")
    assert outcome_of(run.verify(gate=gate)) == {"completeness": "failed"}
    run.record("train", ["table"], map_index=0)
    starts = [run.run_folder / "tasks" / step / "2.start.json" for step in ("publish", "train[0]")]
    starts[0].parent.mkdir()
    starts[0].write_bytes(b"the gate itself has begun")
    assert run.verify(gate=gate).verdict == "passed"
    starts[1].write_bytes(b"what it waits for has begun again, and not ended")
    assert outcome_of(run.verify(gate=gate)) == {"completeness": "failed"}
    starts[1].unlink()
    run.write("table", b"swapped")
    assert outcome_of(run.verify(gate=gate)) == {"artifacts": "failed"}


def test_evidence_that_has_expired_when_it_is_judged_is_refused(run: AttestedRun) -> None:
    report = run.complete().verify(at=run.clock + timedelta(days=20 * 365))
    assert outcome_of(report)["evidence"] == "failed"


def test_two_verifications_of_one_run_are_the_same_bytes(run: AttestedRun) -> None:
    run.complete()
    assert run.verify().to_bytes() == run.verify().to_bytes()
    assert run.run_id == RUN_ID
    assert run.pipeline is PIPELINE


def _edited(run: AttestedRun, **sections: object) -> bytes:
    """The run's own policy with other sections in it."""
    return yaml.safe_dump({**yaml.safe_load(run.policy_document()), **sections}).encode()


def _settled(task_id: str) -> ManifestInstance:
    return ManifestInstance(task_id=task_id, map_index=-1, state="success", set_by_hand=False, records=())


def _bound(bundle: AttestationBundle) -> BoundEvidence:
    assert bundle.bound_evidence is not None
    return bundle.bound_evidence


def _with(bundle: AttestationBundle, role: str, payload: bytes, run: AttestedRun) -> AttestationBundle:
    envelope = dsse.sign(payload, PAYLOAD_TYPE, run.worker.sealer.signer)
    return replace(bundle, envelopes={**bundle.envelopes, role: envelope})


def _with_bound(bundle: AttestationBundle, bound: BoundEvidence, run: AttestedRun) -> AttestationBundle:
    link = Link.parse(bundle.envelopes["link"].payload)
    statement = vouching_statement(link.name, bundle.envelopes["link"], bound).to_bytes()
    return replace(_with(bundle, "tee", statement, run), bound_evidence=bound)


def _with_evidence(bundle: AttestationBundle, evidence: object, run: AttestedRun) -> AttestationBundle:
    return _with_bound(bundle, replace(_bound(bundle), evidence=evidence), run)


def _only_one_lies(run: AttestedRun, **lies: Callable[..., object] | bool) -> dict[str, str]:
    """The answers about the first record, when it lies and everything else is honest."""
    run.write("raw.csv", b"1,2,3\n")
    run.record("ingest", ["raw.csv"], {"table": b"table"}, pushed={"return_value": SHA}, **lies)
    report = run.verify()
    of_run = {(9, "failed"), (10, "failed")}
    return {
        check.name: check.status
        for check in report.failures
        if check.subject != "run" or (check.number, check.status) in of_run
    }


def _second_lies(run: AttestedRun, **lies: Callable[..., object]) -> dict[str, str]:
    """The answers when the second of two records lies and everything else is honest."""
    run.pipeline = replace(PIPELINE, tasks={name: PIPELINE.tasks[name] for name in ("ingest", "train")})
    run.write("raw.csv", b"1,2,3\n")
    run.record("ingest", ["raw.csv"], {"table": b"table"}, pushed={"return_value": SHA})
    run.record("train", ["table"], {"model": b"m"}, map_index=0, **lies)
    run.end()
    doubted = ("completeness", "lineage")
    return {
        name: status
        for name, status in outcome_of(run.verify()).items()
        if (name, status) not in {(name, "not-reached") for name in doubted}
    }
