"""Question 6 under a policy that asks for witnesses: what a log's operator, or a worker with its key, may try.

The log was cosigned by two witnesses when the run was attested. Every attack here leaves the log's own signature and
its proofs intact: without witnesses, all of them would pass.
"""

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from airflow_provider_atlas.bundle import AttestationBundle
from airflow_provider_atlas.errors import ConfigError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tlog.backends import witness_folder
from airflow_provider_atlas.tlog.backends.witness_folder import WitnessFolder
from airflow_provider_atlas.tlog.note import SignedNote, VerifierKey
from airflow_provider_atlas.tlog.policy import WitnessPolicy
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.verify.policy import Policy
from airflow_provider_atlas.verify.report import VerificationReport
from airflow_provider_atlas.wiring import logs, workers
from tests.support.attested_run import AttestedRun, outcome_of
from tests.support.witness_servers import serving
from tests.support.witnesses import cosigned_by, ed25519

ALONE = "no independent witness cosigned it"


class WitnessedRun(AttestedRun):
    """A run whose log had two witnesses. ``policy_of`` asks for some of them, under the text that it is given."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        super().__init__(folder)
        key = logs.log_verifier_key(self.settings)
        lines = []
        for name, algorithms in (("one", ["ed25519"]), ("two", ["ml-dsa-44"])):
            (vkey,) = witness_folder.create(folder / name, f"{name}.example", algorithms)
            url = stack.enter_context(serving(WitnessFolder(folder / name, {key.name: [key]})))
            lines.append(f"witness {name} {vkey} {url}")
        self.witnesses = "\n".join([*lines, "group both 2 one two", "quorum both", ""])
        (folder / "witnesses").write_text(self.witnesses)
        section = {
            "deployment": self.settings.deployment,
            "attester": self.settings.attester,
            "log_witnesses": str(folder / "witnesses"),
        }
        self.settings = Settings.parse(section, home=str(folder))
        self.worker = workers.worker(self.settings)

    def policy_of(self, witnesses: str | None) -> bytes:
        document = yaml.safe_load(self.policy_document())
        del document["logs"][0]["witnesses"]
        if witnesses is not None:
            document["logs"][0]["witnesses"] = witnesses
        return yaml.safe_dump(document).encode()

    def judged(self, witnesses: str | None = None) -> VerificationReport:
        return self.verify(self.policy_of(self.witnesses if witnesses is None else witnesses))


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> WitnessedRun:
    with ExitStack() as stack:
        return WitnessedRun(tmp_path_factory.mktemp("witnessed"), stack).complete()  # type: ignore[return-value]


@pytest.fixture
def run(honest: WitnessedRun, tmp_path: Path):
    """The honest run, whose records a test may change."""
    kept = shutil.copytree(honest.folder / "archive", tmp_path / "archive")
    yield honest
    shutil.rmtree(honest.folder / "archive")
    shutil.copytree(kept, honest.folder / "archive")


def tampered(run: WitnessedRun, change: Callable[[Receipt], Receipt]) -> VerificationReport:
    """Change the receipts of one record, and verify."""
    path = run.run_folder / "tasks" / "ingest" / "1.bundle.json"
    bundle = AttestationBundle.parse(path.read_bytes())
    path.chmod(0o644)
    path.write_bytes(replace(bundle, receipts={role: change(it) for role, it in bundle.receipts.items()}).to_bytes())
    return run.judged()


def of_note(change: Callable[[SignedNote], SignedNote]) -> Callable[[Receipt], Receipt]:
    return lambda receipt: replace(receipt, note=change(receipt.note))


def refused(report: VerificationReport) -> None:
    failed = {(check.number, check.status) for check in report.checks if check.subject.startswith("ingest")}
    assert (6, "failed") in failed
    assert not [number for number, status in failed if status == "failed" and number != 6]
    assert report.verdict == "failed"


def test_a_run_whose_log_was_witnessed_passes_and_is_not_said_to_be_alone(run: WitnessedRun):
    report = run.judged()
    assert outcome_of(report) == {}
    assert report.verdict == "passed"
    assert not any(ALONE in sentence for sentence in report.limitations)


def test_the_policy_of_a_witnessed_deployment_asks_for_its_witnesses(run: WitnessedRun):
    policy = Policy.parse(run.policy_document())
    assert policy.is_witnessed
    assert policy.logs[0].witnesses == WitnessPolicy.parse(run.witnesses.encode())
    assert run.verify(run.policy_document()).verdict == "passed"


def test_the_same_run_is_said_to_be_alone_where_nobody_asks_for_witnesses(run: WitnessedRun):
    for witnesses in (None, "quorum none\n"):
        report = run.verify(run.policy_of(witnesses))
        assert report.verdict == "passed"
        assert any(ALONE in sentence for sentence in report.limitations)


def test_a_checkpoint_that_lost_its_cosignatures_is_refused(run: WitnessedRun):
    refused(tampered(run, of_note(lambda note: SignedNote(text=note.text, signatures=note.signatures[:1]))))


def test_a_checkpoint_below_the_quorum_is_refused(run: WitnessedRun):
    refused(tampered(run, of_note(lambda note: SignedNote(text=note.text, signatures=note.signatures[:2]))))


def test_one_witness_does_not_count_for_two(run: WitnessedRun):
    def twice(note: SignedNote) -> SignedNote:
        log, one, _ = note.signatures
        return SignedNote(text=note.text, signatures=(log, one, one))

    refused(tampered(run, of_note(twice)))


def test_witnesses_that_the_policy_does_not_name_do_not_count(run: WitnessedRun):
    def strangers(note: SignedNote) -> SignedNote:
        return cosigned_by(SignedNote(text=note.text, signatures=note.signatures[:2]), ed25519(1), ed25519(2))

    refused(tampered(run, of_note(strangers)))


def test_cosignatures_of_another_checkpoint_are_refused(run: WitnessedRun):
    later = AttestationBundle.parse((run.run_folder / "tasks" / "publish" / "1.bundle.json").read_bytes())
    cosignatures = later.receipts["link"].note.signatures[1:]

    def moved(note: SignedNote) -> SignedNote:
        return SignedNote(text=note.text, signatures=(note.signatures[0], *cosignatures))

    refused(tampered(run, of_note(moved)))


@pytest.mark.parametrize("line", [1, 2], ids=["Ed25519", "ML-DSA-44"])
def test_a_cosignature_cannot_be_dated_anew(run: WitnessedRun, line: int):
    def redated(note: SignedNote) -> SignedNote:
        lines = list(note.signatures)
        blob = lines[line].signature
        lines[line] = replace(
            lines[line], signature=(int.from_bytes(blob[:8], "big") + 1).to_bytes(8, "big") + blob[8:]
        )
        return SignedNote(text=note.text, signatures=tuple(lines))

    refused(tampered(run, of_note(redated)))


def test_a_second_history_of_the_log_convinces_nobody(run: WitnessedRun, tmp_path: Path):
    # The operator has the log's key and the worker's, makes the same records in a log of its own, and its witnesses
    # have seen another tree: it must present them without cosignatures.
    section = {"deployment": run.settings.deployment, "log": f"posix:{tmp_path}/second"}
    second = logs.transparency_log(Settings.parse(section, home=str(run.folder)))
    path = run.run_folder / "tasks" / "ingest" / "1.bundle.json"
    bundle = AttestationBundle.parse(path.read_bytes())
    sealer = replace(run.worker.sealer, log=second)
    path.chmod(0o644)
    path.write_bytes(sealer.enter(replace(bundle, receipts={})).to_bytes())
    assert outcome_of(run.verify(run.policy_of(None))).get("inclusion") is None  # unwitnessed, it passes question 6
    refused(run.judged())


def test_a_witness_with_the_logs_own_key_is_no_witness(run: WitnessedRun):
    key = logs.log_verifier_key(run.settings)
    own = VerifierKey(name="own.example", public_key=key.public_key, kind=4)
    with pytest.raises(ConfigError, match="own key"):
        Policy.parse(run.policy_of(f"witness own {own}\nquorum own\n"))


@pytest.mark.parametrize("witnesses", ["", "quorum nobody\n", "witness a b\nquorum a\n", "quorum none"])
def test_witnesses_that_are_no_policy_are_a_mistake(run: WitnessedRun, witnesses: str):
    with pytest.raises(ConfigError, match="witness policy"):
        Policy.parse(run.policy_of(witnesses))


def test_witnesses_of_another_log_are_a_mistake(run: WitnessedRun):
    key = logs.log_verifier_key(run.settings)
    assert Policy.parse(run.policy_of(f"log {key}\n{run.witnesses}")).is_witnessed
    other = VerifierKey(name="other.example", public_key=key.public_key)
    with pytest.raises(ConfigError, match="log lines"):
        Policy.parse(run.policy_of(f"log {other}\n{run.witnesses}"))
