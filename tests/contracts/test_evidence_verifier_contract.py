"""What every verifier of evidence does, whichever the TEE: the reactions that its caller counts on."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from airflow_provider_atlas.errors import MalformedError, MissingError, SignatureError
from airflow_provider_atlas.tee.attester import EvidenceVerifier
from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
from airflow_provider_atlas.tee.backends.sev_snp import SevSnpVerifier
from airflow_provider_atlas.tee.evidence import Claims, Evidence
from tests.support import simulated_snp, simulated_tdx


@dataclass(frozen=True, kw_only=True)
class Case:
    """A verifier, with the guest of a simulator that it can judge."""

    verifier: EvidenceVerifier
    guest: Callable[[], Evidence]
    root_sha256: str
    issued: datetime
    expires: datetime
    report_data: bytes

    def verify(self, shown: Evidence, *, roots: Collection[str] | None = None, at: datetime | None = None) -> Claims:
        accepted = {self.root_sha256} if roots is None else roots
        return self.verifier.verify(shown, development_roots=accepted, at=at or self.issued + timedelta(days=30))


def tdx() -> Case:
    vendor = simulated_tdx.Vendor.create()
    return Case(
        verifier=DcapVerifier(),
        guest=vendor.guest,
        root_sha256=vendor.root_sha256,
        issued=simulated_tdx.ISSUED,
        expires=simulated_tdx.EXPIRES,
        report_data=simulated_tdx.REPORT_DATA,
    )


def snp() -> Case:
    vendor = simulated_snp.vendor()
    return Case(
        verifier=SevSnpVerifier(),
        guest=vendor.guest,
        root_sha256=vendor.root_sha256,
        issued=simulated_snp.ISSUED,
        expires=simulated_snp.EXPIRES,
        report_data=simulated_snp.REPORT_DATA,
    )


def vlek() -> Case:
    return replace(snp(), guest=(lent := simulated_snp.vendor(vlek=True)).guest, root_sha256=lent.root_sha256)


@pytest.fixture(params=[tdx, snp, vlek], ids=["tdx", "sev-snp", "sev-snp of a cloud"], scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    made: Case = request.param()
    return made


def test_genuine_evidence_has_claims(case: Case):
    shown = case.guest()
    claims = case.verify(shown)
    assert (claims.tee, claims.report_data, claims.debug) == (shown.tee, case.report_data, False)
    assert claims.measurements
    assert all(value == value.lower() and bytes.fromhex(value) for value in claims.measurements.values())
    assert all(type(fact) in (str, int, bool) for fact in claims.facts.values())


def test_what_a_simulator_made_is_development(case: Case):
    claims = case.verify(case.guest())
    assert (claims.development, claims.root_sha256) == (True, case.root_sha256)


def test_the_same_evidence_has_the_same_claims(case: Case):
    shown = case.guest()
    assert case.verify(shown) == case.verify(shown)


def test_what_the_attester_calls_itself_changes_nothing(case: Case):
    shown = case.guest()
    assert case.verify(replace(shown, provider="tsm")) == case.verify(shown)


def test_a_root_that_nobody_accepted_is_refused(case: Case):
    for roots in ((), {"00" * 32}):
        with pytest.raises(SignatureError, match="root"):
            case.verify(case.guest(), roots=roots)


def test_evidence_without_endorsements_is_no_answer(case: Case):
    with pytest.raises(MissingError):
        case.verify(replace(case.guest(), endorsements=()))


def test_evidence_is_good_in_the_time_of_its_endorsements_alone(case: Case):
    second = timedelta(seconds=1)
    assert case.verify(case.guest(), at=case.issued)
    assert case.verify(case.guest(), at=case.expires - second)
    for at in (case.issued - second, case.expires + second):
        with pytest.raises(SignatureError):
            case.verify(case.guest(), at=at)


@pytest.mark.parametrize("quote", [b"", b"\0", b"quote", bytes(1184), bytes(5006), b"\xff" * 40_000])
def test_bytes_that_are_no_evidence_are_malformed(case: Case, quote: bytes):
    with pytest.raises(MalformedError):
        case.verify(replace(case.guest(), quote=quote))


def test_bytes_before_or_after_are_malformed(case: Case):
    shown = case.guest()
    for quote in (shown.quote + b"\0", b"\0" + shown.quote, shown.quote[:-1]):
        with pytest.raises(MalformedError):
            case.verify(replace(shown, quote=quote))


@pytest.mark.parametrize("change", [{"tee": "another"}, {"media_type": "text/plain"}])
def test_evidence_of_another_kind_is_malformed(case: Case, change: dict[str, str]):
    with pytest.raises(MalformedError):
        case.verify(replace(case.guest(), **change))  # type: ignore[arg-type]  # both are text


def test_endorsements_that_are_none_are_malformed(case: Case):
    shown = case.guest()
    for index, one in enumerate(shown.endorsements):
        broken = [*shown.endorsements]
        broken[index] = replace(one, content=b"\xff")
        with pytest.raises(MalformedError):
            case.verify(replace(shown, endorsements=broken))
