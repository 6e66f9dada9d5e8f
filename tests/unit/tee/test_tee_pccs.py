"""Collateral from a cache that speaks Intel's API: fetched, tried on the quote, kept, and never a pass."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dcap_qvl
import pytest

from airflow_provider_atlas.errors import AttesterError, ConfigError, MalformedError
from airflow_provider_atlas.fetching import HttpClient, Service
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tee.backends.kept import KeptFiles
from airflow_provider_atlas.tee.backends.pccs import INTEL_SERVICE, PccsEndorser, PcsClient
from airflow_provider_atlas.tee.endorsing import EndorsedAttester
from airflow_provider_atlas.tee.tdx import pcs
from airflow_provider_atlas.tee.tdx.collateral import Collateral
from airflow_provider_atlas.wiring.endorsers import endorsed
from airflow_provider_atlas.wiring.endorsers import endorser as endorser_of
from tests.support.pccs_server import PccsServer
from tests.support.simulated_tdx import AT, EXPIRES, Vendor, evidence


@pytest.fixture(scope="module")
def vendor() -> Vendor:
    return Vendor.create()


@pytest.fixture
def server(vendor: Vendor) -> Iterator[PccsServer]:
    with PccsServer(vendor.collateral) as serving:
        yield serving


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = AT

    def __call__(self):
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def impatient(url: str) -> HttpClient:
    return HttpClient(Service(url=url, name="the endorsement service", error=AttesterError), pause=lambda _: None)


@pytest.fixture
def endorser(server: PccsServer, tmp_path: Path, clock: Clock) -> PccsEndorser:
    client = impatient(server.url)
    return PccsEndorser(
        PcsClient(service=client, root_crl=client, root_crl_path=pcs.ROOT_CRL), tmp_path / "kept", now=clock
    )


def bare(vendor: Vendor):
    return replace(vendor.guest(), endorsements=())


def test_a_bare_quote_gets_the_collateral_that_vouches_for_it(endorser: PccsEndorser, vendor: Vendor):
    endorsed = endorser.endorse(bare(vendor))
    assert vendor.verify(endorsed).tcb_status == "UpToDate"
    assert Collateral.parse(endorsed.endorsements[0].content) == Collateral.parse(vendor.collateral)


async def their_collateral(url: str, quote: bytes) -> Any:
    return await dcap_qvl.get_collateral(url, quote)


def test_what_is_fetched_is_what_dcap_qvl_fetches(server: PccsServer, vendor: Vendor):
    ours = PcsClient.cache(server.url).collateral(fmspc="a71a50000000", ca="platform")
    theirs = asyncio.run(their_collateral(server.url, vendor.guest().quote))
    mine, asked = json.loads(ours.to_bytes()), json.loads(theirs.to_json())
    assert {name: value for name, value in asked.items() if name in mine} == mine


def test_a_platform_is_asked_about_once_a_day(endorser: PccsEndorser, server: PccsServer, vendor: Vendor, clock: Clock):
    for hours in (0, 1, 22):
        clock.now = AT + timedelta(hours=hours)
        endorser.endorse(bare(vendor))
    assert len(server.asked) == 4


def test_collateral_is_renewed_after_a_day(endorser: PccsEndorser, server: PccsServer, vendor: Vendor, clock: Clock):
    endorser.endorse(bare(vendor))
    clock.now = AT + timedelta(hours=25)
    endorser.endorse(bare(vendor))
    assert len(server.asked) == 8


def test_collateral_that_was_kept_serves_while_the_service_is_away(
    endorser: PccsEndorser, server: PccsServer, vendor: Vendor, clock: Clock, caplog: pytest.LogCaptureFixture
):
    endorser.endorse(bare(vendor))
    server.down = True
    clock.now = AT + timedelta(days=9)
    assert vendor.verify(endorser.endorse(bare(vendor)), at=clock.now).tcb_status == "UpToDate"
    assert "could not be renewed" in caplog.text


def test_collateral_that_has_expired_is_no_stand_in_for_a_service_that_is_away(
    endorser: PccsEndorser, server: PccsServer, vendor: Vendor, clock: Clock
):
    endorser.endorse(bare(vendor))
    server.down = True
    clock.now = EXPIRES + timedelta(days=1)
    with pytest.raises(AttesterError, match="is busy"):
        endorser.endorse(bare(vendor))


def test_a_service_that_is_away_is_never_a_pass(endorser: PccsEndorser, server: PccsServer, vendor: Vendor):
    server.down = True
    with pytest.raises(AttesterError, match="is busy"):
        endorser.endorse(bare(vendor))
    assert len(server.asked) == 5


def test_collateral_of_another_vendor_is_neither_used_nor_kept(
    endorser: PccsEndorser, server: PccsServer, vendor: Vendor, tmp_path: Path
):
    server.collateral = Vendor.create().collateral
    with pytest.raises(AttesterError, match="does not vouch for the quote"):
        endorser.endorse(bare(vendor))
    assert not list((tmp_path / "kept").glob("*"))


def test_a_kept_file_that_was_damaged_is_fetched_again(
    endorser: PccsEndorser, server: PccsServer, vendor: Vendor, tmp_path: Path, clock: Clock
):
    endorser.endorse(bare(vendor))
    (kept,) = (tmp_path / "kept").iterdir()
    KeptFiles(kept.parent).write(kept.name, kept.read_bytes()[:-9], clock.now)
    assert vendor.verify(endorser.endorse(bare(vendor))).tcb_status == "UpToDate"
    assert len(server.asked) == 8


def test_a_platform_that_was_revoked_since_gets_no_more_evidence(endorser: PccsEndorser, server: PccsServer):
    revoking = Vendor.create(revoked="pck")
    server.collateral = revoking.collateral
    with pytest.raises(AttesterError, match="CertRevoked"):
        endorser.endorse(evidence(revoking.guest().quote))


def test_old_collateral_beside_a_quote_is_replaced(endorser: PccsEndorser, vendor: Vendor):
    endorsed = endorser.endorse(evidence(vendor.guest().quote, Vendor.create().collateral))
    assert vendor.verify(endorsed).tcb_status == "UpToDate"


def test_what_is_no_quote_has_no_collateral(endorser: PccsEndorser):
    with pytest.raises(AttesterError, match="names its platform"):
        endorser.endorse(evidence(b"no quote"))


def test_intel_itself_is_asked_only_where_somebody_says_so(server: PccsServer):
    assert PcsClient.intel().service.url == INTEL_SERVICE
    assert PcsClient.cache(server.url).root_crl.url == server.url


GOOD = pcs.Told(issuers=b"", body=b'{"tcbInfo":{},"signature":"00"}')


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"tcbInfo":{}}', b'{"signature":"00","tcbInfo":{}}', b'{"tcbInfo":{},"signature":"00"', b"\xff"],
)
def test_an_answer_of_another_shape_is_malformed(body: bytes):
    with pytest.raises(MalformedError):
        pcs.collateral_of(
            pck_crl=GOOD, tcb_info=pcs.Told(issuers=b"", body=body), qe_identity=GOOD, root_crl=b"\x30\x00"
        )


@pytest.mark.parametrize("listed", [b"", b"no hex", b"\xff\xfe", b"308"])
def test_a_root_revocation_list_that_is_neither_der_nor_hex_is_malformed(listed: bytes):
    identity = pcs.Told(issuers=b"", body=b'{"enclaveIdentity":{},"signature":"00"}')
    with pytest.raises(MalformedError):
        pcs.collateral_of(pck_crl=GOOD, tcb_info=GOOD, qe_identity=identity, root_crl=listed)


@pytest.mark.parametrize("value", ["none", "pcs:", "pccs:", "pccs:http://pccs.example", "https://pccs.example", "x:y"])
def test_a_setting_that_names_no_endorser_says_what_is_expected(value: str):
    with pytest.raises(ConfigError, match="expected none:, pcs:intel or pccs:https"):
        endorser_of(Settings.parse({"endorsements": value}, home="/srv"))


def test_nobody_is_asked_by_default():
    assert endorser_of(Settings.parse({}, home="/srv")) is None


def test_an_attester_and_an_endorser_are_one_attester(vendor: Vendor, server: PccsServer, tmp_path: Path):
    class Bare:
        def attest(self, report_data: bytes):
            return replace(vendor.guest(report_data=report_data), endorsements=())

    settings = Settings.parse({"endorsements": f"pccs:{server.url}"}, home=str(tmp_path))
    endorser_now = PccsEndorser(PcsClient.cache(server.url), tmp_path, now=lambda: AT)
    assert isinstance(endorsed(Bare(), settings), EndorsedAttester)
    claims = vendor.verify(EndorsedAttester(Bare(), endorser_now).attest(b"\7" * 64))
    assert claims.report_data == b"\7" * 64
