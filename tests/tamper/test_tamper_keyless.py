"""Who signs without a key of their own, and lies about who they are or when it was: question 1 refuses each lie.

Everything is real but the names: a worker asks a Fulcio and a time-stamp authority over HTTP, on loopback.
"""

import copy
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from airflow_provider_atlas.artifacts.archive import record_path
from airflow_provider_atlas.bundle import AttestationBundle, Role
from airflow_provider_atlas.intoto.link import Link
from airflow_provider_atlas.signing.certificate import Certificate
from airflow_provider_atlas.verify.report import VerificationReport
from tests.support.attested_run import DAG_ID, NOW, AttestedRun, outcome_of
from tests.support.fulcio import IDENTITY, ISSUER, Fulcio, Keyless, Wanted, keyless, token
from tests.support.time_stamping import Authority

MINUTE = timedelta(minutes=1)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Keyless]:
    with keyless(tmp_path) as served:
        yield served


@pytest.fixture
def run(tmp_path: Path, services: Keyless) -> AttestedRun:
    return AttestedRun(tmp_path / "run", trust=services.trust, **services.section)


def asking(run: AttestedRun, change: Callable[[dict[str, Any]], object] = lambda _: None) -> bytes:
    """Return the run's policy with something in it changed."""
    document = yaml.safe_load(run.policy_document())
    change(document)
    return yaml.safe_dump(document).encode()


def ingested(run: AttestedRun, **how: Any) -> AttestationBundle:
    run.write("raw.csv", b"1,2,3\n")
    return run.record("ingest", ["raw.csv"], {"table": b"table"}, **how)


def exchanged(run: AttestedRun, **changes: Any) -> None:
    """Exchange what the archive has of ``ingest`` for the same with ``changes``."""
    bundle = replace(run.records["ingest"][1], **changes)
    path = run.folder.joinpath("archive", *record_path(DAG_ID, run.run_id, "ingest", "1.bundle.json"))
    path.write_bytes(bundle.to_bytes())


def answered(report: VerificationReport, status: str = "failed") -> str:
    """What question 1 says of the record, which it answers with ``status``; all that rests on it is not reached."""
    mine = [check for check in report.checks if check.subject == "ingest try 1"]
    assert {check.number: check.status for check in mine} == {1: status, **dict.fromkeys(range(2, 7), "not-reached")}
    return mine[0].detail


def test_a_run_of_a_worker_without_a_key_passes(run: AttestedRun) -> None:
    run.complete()
    assert outcome_of(run.verify()) == {}
    for _, bundle in run.records.values():
        assert bundle.certificate
        assert (bundle.certificate.identity, bundle.certificate.issuer) == (IDENTITY, ISSUER)
        assert bundle.timestamps.keys() == bundle.envelopes.keys()
        assert AttestationBundle.parse(bundle.to_bytes()) == bundle


def test_years_later_it_still_passes_for_the_clock_of_the_verifier_is_not_asked(run: AttestedRun) -> None:
    run.complete()
    # The simulated TEE's certificates do not last as long, which is another question.
    policy = asking(run, lambda document: document["tee"].update(evidence="optional"))
    signed = [check for check in run.verify(policy, at=NOW + 3600 * timedelta(days=1)).checks if check.number == 1]
    assert {check.status for check in signed} == {"passed"}


def test_a_certificate_by_a_foreign_fulcio_is_refused(run: AttestedRun) -> None:
    ingested(run)

    def distrust(document: dict[str, Any]) -> None:
        document["signers"][0]["fulcio"]["certificates"] = Fulcio().pem

    assert "expected a certificate of the policy's authority" in answered(run.verify(asking(run, distrust)))


@pytest.mark.parametrize("by", [11 * MINUTE, -11 * MINUTE, timedelta(days=300)], ids=str)
def test_a_certificate_that_had_expired_or_not_begun_when_it_signed_is_refused(
    run: AttestedRun, services: Keyless, by: timedelta
) -> None:
    services.authority.clock = lambda: datetime.now(UTC) + by
    ingested(run)
    assert "that held at" in answered(run.verify())


def test_a_token_of_another_issuer_is_refused(run: AttestedRun, services: Keyless) -> None:
    Path(services.section["signer_token_file"]).write_text(token(issuer="https://oidc.cluster.example.net"))
    ingested(run)
    policy = asking(run, lambda document: document["signers"][0].update(issuer=ISSUER))
    assert answered(run.verify(policy)).startswith(f"expected an identity that {ISSUER} vouches for")


@pytest.mark.parametrize(
    "other", [f"{IDENTITY}2", IDENTITY[:-1], IDENTITY.upper(), f"{IDENTITY}/", "worker@cluster.example"]
)
def test_a_worker_of_another_name_is_refused(run: AttestedRun, services: Keyless, other: str) -> None:
    Path(services.section["signer_token_file"]).write_text(token(identity=other))
    ingested(run)
    policy = asking(run, lambda document: document["signers"][0].update(identity=IDENTITY))
    assert answered(run.verify(policy)) == f"expected a certificate of {IDENTITY}, not of {other}"


def test_a_certificate_that_was_never_logged_is_refused(run: AttestedRun, services: Keyless) -> None:
    services.fulcio.log = lambda _: []
    ingested(run)
    assert "this one names no log" in answered(run.verify())


def test_a_certificate_that_another_log_has_seen_is_refused(run: AttestedRun, services: Keyless) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    services.fulcio.log = lambda body: [services.fulcio.sct(body, other)]
    ingested(run)
    assert "expected a certificate that a log of the policy's authority has seen" in answered(run.verify())


def test_an_sct_that_names_the_log_and_is_signed_by_another_is_refused(run: AttestedRun, services: Keyless) -> None:
    def forged(body: bytes) -> list[bytes]:
        ours = services.fulcio.sct(body)
        return [ours[:33] + services.fulcio.sct(body, ec.generate_private_key(ec.SECP256R1()))[33:]]

    services.fulcio.log = forged
    ingested(run)
    assert "(SCT)" in answered(run.verify())


def test_an_sct_of_another_certificate_is_refused(run: AttestedRun, services: Keyless) -> None:
    services.fulcio.log = lambda body: [services.fulcio.sct(body + b"\0")]
    ingested(run)
    assert "(SCT)" in answered(run.verify())


def test_one_good_sct_among_others_is_enough(run: AttestedRun, services: Keyless) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    services.fulcio.log = lambda body: [services.fulcio.sct(body, other), services.fulcio.sct(body)]
    ingested(run)
    assert [check.status for check in run.verify().checks if check.number == 1] == ["passed"]


@pytest.mark.parametrize("change", [{"purpose": ExtendedKeyUsageOID.CLIENT_AUTH}, {"signs": False}], ids=str)
def test_a_certificate_of_a_key_for_something_else_is_refused(
    run: AttestedRun, services: Keyless, change: dict[str, Any]
) -> None:
    services.fulcio.change = lambda wanted: replace(wanted, **change)
    ingested(run)
    assert "expected a certificate whose key may sign code" in answered(run.verify())


def another_certificate(services: Keyless, identity: str = IDENTITY) -> Certificate:
    """A good certificate, of another key."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    begins = datetime.now(UTC).replace(microsecond=0)
    issued = services.fulcio.issue(Wanted(spki=key, identity=identity, issuer=ISSUER, begins=begins))
    return Certificate.parse(issued.public_bytes(Encoding.DER))


@pytest.mark.parametrize("renamed", [False, True])
def test_a_good_certificate_of_another_key_is_refused(run: AttestedRun, services: Keyless, renamed: bool) -> None:
    bundle, other = ingested(run), another_certificate(services)
    envelopes = bundle.envelopes
    if renamed:  # nobody signs the key's id
        keyid = other.public_key.keyid
        envelopes = {role: replace(envelope, keyid=keyid) for role, envelope in envelopes.items()}
    exchanged(run, certificate=other, public_key=other.public_key, envelopes=envelopes)
    said = answered(run.verify())
    assert ("expected a signature by the key" if renamed else "that names the key") in said


@pytest.mark.parametrize("role", ["link", "provenance", "tee"])
def test_without_a_time_stamp_nothing_is_decided(run: AttestedRun, role: Role) -> None:
    bundle = ingested(run)
    exchanged(run, timestamps={each: stamp for each, stamp in bundle.timestamps.items() if each != role})
    assert f"no time-stamp says when the {role} was signed" in answered(run.verify(), "not-reached")


def test_a_time_stamp_of_another_signature_is_refused(run: AttestedRun) -> None:
    bundle = ingested(run)
    exchanged(run, timestamps={**bundle.timestamps, "provenance": bundle.timestamps["link"]})
    assert "expected to know when the provenance was signed" in answered(run.verify())


def test_a_time_stamp_by_an_authority_that_the_policy_does_not_name_is_refused(run: AttestedRun) -> None:
    bundle, stranger = ingested(run), Authority()
    stamps = {role: stranger.stamp(envelope.signature) for role, envelope in bundle.envelopes.items()}
    exchanged(run, timestamps=stamps)
    assert "expected to know when the link was signed" in answered(run.verify())


def test_a_policy_that_trusts_keys_alone_refuses_a_certificate(run: AttestedRun, tmp_path: Path) -> None:
    ingested(run)
    stranger = yaml.safe_load(AttestedRun(tmp_path / "stranger").policy_document())
    policy = asking(run, lambda document: document.update(signers=stranger["signers"]))
    assert answered(run.verify(policy)) == "expected a key of the policy, which trusts no certificate of anybody"


def test_the_certified_key_without_its_certificate_is_a_stranger(run: AttestedRun) -> None:
    ingested(run)
    exchanged(run, certificate=None)
    assert "expected a signer of the policy" in answered(run.verify())


def renewed(run: AttestedRun) -> Callable[[Link], Link]:
    """What happens to a worker whose task outlives its certificate, between the start and the link."""

    def lie(link: Link) -> Link:
        run.worker.sealer.signer._current = None  # type: ignore[attr-defined]
        return link

    return lie


def test_a_task_that_outlives_the_certificate_of_its_start_passes(run: AttestedRun) -> None:
    bundle = ingested(run, start=True, lie=renewed(run))
    assert bundle.start_certificate not in (None, bundle.certificate)
    assert bundle.key_of("start") != bundle.key_of("link") == bundle.public_key
    assert AttestationBundle.parse(bundle.to_bytes()) == bundle
    mine = [check for check in run.verify().checks if check.subject == "ingest try 1"]
    assert {check.status for check in mine} <= {"passed", "not-required"}


def test_a_start_by_a_stranger_or_without_its_time_is_refused(run: AttestedRun, services: Keyless) -> None:
    bundle = ingested(run, start=True, lie=renewed(run))
    exchanged(run, timestamps={role: stamp for role, stamp in bundle.timestamps.items() if role != "start"})
    assert "no time-stamp says when the start was signed" in answered(run.verify(), "not-reached")
    exchanged(run, start_certificate=another_certificate(services))
    assert "that names the key" in answered(run.verify())
    exchanged(run, start_certificate=None)
    assert "that names the key" in answered(run.verify())


def test_two_workers_of_the_policy_do_not_sign_one_record(run: AttestedRun, services: Keyless) -> None:
    other = f"{IDENTITY}-2"

    def lie(link: Link) -> Link:
        Path(services.section["signer_token_file"]).write_text(token(identity=other))
        return renewed(run)(link)

    ingested(run, start=True, lie=lie)

    def trust_both(document: dict[str, Any]) -> None:
        document["signers"] = [
            {**copy.deepcopy(document["signers"][0]), "identity": each} for each in (IDENTITY, other)
        ]

    assert f"expected a certificate of {IDENTITY}, not of {other}" in answered(run.verify(asking(run, trust_both)))


def test_a_manifest_by_another_worker_is_refused(run: AttestedRun, services: Keyless) -> None:
    ingested(run)
    policy = asking(run)
    Path(services.section["signer_token_file"]).write_text(token(identity=f"{IDENTITY}-2"))
    run.worker.sealer.signer._current = None  # type: ignore[attr-defined]
    run.end()
    said = [check for check in run.verify(policy).checks if check.number == 8]
    assert [(check.status, check.detail) for check in said] == [
        ("failed", f"expected a certificate of {IDENTITY}, not of {IDENTITY}-2")
    ]


def test_nothing_of_the_token_reaches_the_archive_or_the_log(run: AttestedRun, services: Keyless) -> None:
    run.complete()
    secret = Path(services.section["signer_token_file"]).read_bytes()
    kept = [Path(folder, name) for folder, _, names in os.walk(run.folder) for name in names]
    assert len(kept) > 10
    assert not [path for path in kept if secret in path.read_bytes() or secret.split(b".")[1] in path.read_bytes()]
