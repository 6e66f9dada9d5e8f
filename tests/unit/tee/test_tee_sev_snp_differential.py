"""Our verdicts on SNP reports against those of ``omne-attest``, an independent verifier.

It knows VCEKs of Milan and Genoa, and asks for a pinned root. Where it is the laxer, because it asks for no dates, no
revocation, no host's own reports, no zeros in the unsigned tail and no migration agent, each case says so.
"""

import random
import warnings
from dataclasses import replace
from hashlib import sha256

import omne_attest.snp as theirs
import pytest

from airflow_provider_atlas.errors import AtlasError
from airflow_provider_atlas.tee.backends.sev_snp import SevSnpVerifier
from airflow_provider_atlas.tee.evidence import Evidence
from airflow_provider_atlas.tee.pem import parse_pem
from airflow_provider_atlas.tee.sev_snp.report import SnpReport
from tests.support.simulated_snp import AT, EXPIRES, SnpVendor, evidence, real, vendor
from tests.unit.tee.test_tee_sev_snp import THEN


def we_accept(shown: Evidence, roots: set[str], at=AT) -> bool:
    try:
        SevSnpVerifier().verify(shown, development_roots=roots, at=at)
    except AtlasError:
        return False
    return True


def they_accept(shown: Evidence) -> bool:
    leaf, ask, ark = parse_pem(shown.endorsements[0].content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the serial number zero
        try:
            theirs.verify(shown.quote, leaf, ask, ark, sha256(ark).digest(), theirs.Policy(max_vmpl=0xFFFFFFFF))
        except theirs.Fail:
            return False
    return True


def flipped(data: bytes, *, seed: int, times: int, end: int) -> list[bytes]:
    chosen = random.Random(seed)
    made = []
    for _ in range(times):
        changed = bytearray(data)
        changed[chosen.randrange(end)] ^= 1 << chosen.randrange(8)
        made.append(bytes(changed))
    return made


@pytest.mark.parametrize(
    ("report", "chain", "genuine"),
    [
        ("snp_milan", "", True),
        ("snp_milan_debug", "", False),
        ("snp_azure_other_chip", "", False),
        ("snp_milan", "snp_milan_debug", False),
        ("snp_milan_debug", "snp_milan", False),
        ("snp_milan", "snp_azure_other_chip", False),
    ],
)
def test_we_agree_on_real_reports(report: str, chain: str, genuine: bool):
    shown = real(report, chain)
    assert we_accept(shown, set(), THEN) == they_accept(shown) == genuine


def test_we_agree_on_a_real_report_with_a_bit_flipped():
    shown = real("snp_milan")
    for report in flipped(shown.quote, seed=1, times=100, end=0x330):
        changed = replace(shown, quote=report)
        # The upper third of r and s, which must be zero, is passed over by them.
        if any(report[0x2D0:0x2E8]) or any(report[0x318:0x330]):
            assert not we_accept(changed, set(), THEN)
        else:
            assert we_accept(changed, set(), THEN) == they_accept(changed) is False


@pytest.mark.parametrize("product", ["Milan", "Genoa"])
@pytest.mark.parametrize("version", [2, 3, 5])
def test_we_agree_on_simulated_reports(product, version: int):
    simulated = vendor(product, version=version)
    roots = {simulated.root_sha256}
    assert we_accept(simulated.guest(), roots) is they_accept(simulated.guest()) is True
    for report in flipped(simulated.report(), seed=version, times=40, end=0x2D0):
        shown = simulated.evidence(report)
        assert we_accept(shown, roots) is they_accept(shown) is False


@pytest.mark.parametrize(
    "fields",
    [
        {"chip_id": b"\1" * 64},
        {"reported_tcb": bytes(8)},
        {"policy": 1 << 17 | 1 << 19},
        {"signature_algo": 0},
        {"version": 1},
        {"version": 6},
    ],
    ids=str,
)
def test_we_agree_on_what_is_wrong_though_signed(fields: dict[str, object]):
    simulated = vendor("Milan")
    shown = simulated.guest(**fields)
    assert we_accept(shown, {simulated.root_sha256}) is they_accept(shown) is False


def test_we_agree_on_certificates_that_do_not_belong_together():
    ours, other = vendor("Milan"), SnpVendor.create("Milan")
    roots = {ours.root_sha256, other.root_sha256}
    for chain in (
        other.authority.chain(),
        ours.chain_with(leaf=other.authority.leaf.der),
        ours.chain_with(ask=other.authority.ask.der),
        ours.chain_with(ark=other.authority.ark.der),
    ):
        shown = evidence(ours.report(), chain)
        assert we_accept(shown, roots) is they_accept(shown) is False


@pytest.mark.parametrize(
    "fields",
    [{"policy": 1 << 17 | 1 << 18}, {"vmpl": 0xFFFFFFFF}, {"cpuid": b"\x1a\x02\x01"}, {"flags": 1 << 2}],
    ids=str,
)
def test_we_refuse_what_they_do_not_ask_for(fields: dict[str, object]):
    shown = vendor("Milan").guest(**fields)
    assert they_accept(shown)
    assert not we_accept(shown, {vendor("Milan").root_sha256})


def test_we_have_dates_and_revocations_and_they_have_not():
    simulated = vendor("Milan")
    shown, roots = simulated.guest(), {simulated.root_sha256}
    revoked = simulated.authority.revocation_list([simulated.authority.ask.certificate])
    assert they_accept(shown)
    assert not we_accept(shown, roots, EXPIRES.replace(year=2030))
    assert not we_accept(evidence(shown.quote, simulated.authority.chain(), revoked), roots)


def test_we_read_the_same_from_a_report():
    for data in (real("snp_milan").quote, vendor("Milan", version=5).report()):
        ours, other = SnpReport.parse(data), theirs.Report.parse(data)
        for name in ("version", "policy", "vmpl", "measurement", "host_data", "report_data", "chip_id", "report_id"):
            assert getattr(ours, name) == getattr(other, name)
        assert (ours.signature_r, ours.signature_s) == (
            int.from_bytes(other.sig_r, "big"),
            int.from_bytes(other.sig_s, "big"),
        )
