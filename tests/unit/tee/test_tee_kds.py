"""Certificates of SNP reports from a key distribution service: fetched, tried on the report, kept, and never a pass."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import AttesterError, ConfigError, MalformedError
from airflow_provider_atlas.fetching import HttpClient, Service
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tee.backends.kds import AMD_SERVICE, KdsEndorser, service
from airflow_provider_atlas.tee.endorsing import EndorsedAttester
from airflow_provider_atlas.tee.evidence import PEM_CERTIFICATE_CHAIN, PKIX_CRL, Endorsements, Evidence
from airflow_provider_atlas.tee.pem import parse_pem, to_pem
from airflow_provider_atlas.tee.sev_snp.kds import issuers_of, products_of, vcek_path
from airflow_provider_atlas.tee.sev_snp.report import SnpReport
from airflow_provider_atlas.wiring.endorsers import endorser as endorser_of
from tests.support.kds_server import KdsServer, answers_of
from tests.support.simulated_snp import AT, EXPIRES, REPORT_DATA, SnpVendor, evidence, real, vendor


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = AT

    def __call__(self):
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Iterator[KdsServer]:
    with KdsServer(vendor()) as serving:
        yield serving


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def endorser(server: KdsServer, tmp_path: Path, clock: Clock, pauses: list[float]) -> KdsEndorser:
    return endorser_at(server, tmp_path, clock, pauses)


def endorser_at(server: KdsServer, tmp_path: Path, clock: Clock, pauses: list[float]) -> KdsEndorser:
    client = HttpClient(
        Service(url=server.url, name="the key distribution service", error=AttesterError), pause=pauses.append
    )
    return KdsEndorser(client, tmp_path / "kept", now=clock)


def bare(simulated: SnpVendor, **fields: object) -> Evidence:
    return evidence(simulated.report(**fields), None)


def test_a_bare_report_gets_what_vouches_for_it(endorser: KdsEndorser, server: KdsServer):
    endorsed = endorser.endorse(bare(vendor()))
    assert [one.media_type for one in endorsed.endorsements] == [PEM_CERTIFICATE_CHAIN, PKIX_CRL]
    claims = vendor().verify(endorsed)
    assert (claims.report_data, claims.facts["crl"]) == (REPORT_DATA, "checked")
    assert sorted(server.asked) == sorted(server.answers)


@pytest.mark.parametrize(("product", "version"), [("Milan", 2), ("Genoa", 2), ("Milan", 3), ("Turin", 5)])
def test_every_product_is_asked_for_in_its_own_way(
    product, version: int, tmp_path: Path, clock: Clock, pauses: list[float]
):
    simulated = vendor(product, version=version)
    with KdsServer(simulated) as server:
        assert simulated.verify(endorser_at(server, tmp_path, clock, pauses).endorse(bare(simulated)))


def test_the_paths_are_amds():
    report = SnpReport.parse(real("snp_milan").quote)
    assert vcek_path(report, "Milan") == (
        "/vcek/v1/Milan/d49554ec717f4e5b0fe6b143bcf0405bd7ae304727edf46603f2a76aef6a3abc"
        "15d7af38db757039029f0efacfd08e244324884738c72b082e2f87a44d541eb6?blSPL=3&teeSPL=0&snpSPL=8&ucodeSPL=115"
    )
    turin = vendor("Turin", version=5).platform.pattern
    path = vcek_path(turin, "Turin")
    assert path.startswith(f"/vcek/v1/Turin/{turin.chip_id[:8].hex()}?fmcSPL=1&blSPL=1&")
    assert products_of(report) == ("Milan", "Genoa")
    assert products_of(turin) == ("Turin",)
    assert products_of(replace(turin, cpuid=b"\x17\x01\x01")) == ()


def test_a_chip_is_asked_about_once(endorser: KdsEndorser, server: KdsServer, clock: Clock):
    for hours in (0, 1, 22):
        clock.now = AT + timedelta(hours=hours)
        endorser.endorse(bare(vendor()))
    assert len(server.asked) == 3


def test_what_is_revoked_is_asked_for_anew_after_a_day(endorser: KdsEndorser, server: KdsServer, clock: Clock):
    endorser.endorse(bare(vendor()))
    clock.now = AT + timedelta(hours=25)
    endorser.endorse(bare(vendor()))
    assert server.asked[3:] == ["/vcek/v1/Genoa/crl"]


def test_another_tcb_is_another_certificate(endorser: KdsEndorser):
    endorser.endorse(bare(vendor()))
    with pytest.raises(AttesterError, match="no certificate for the chip and the TCB"):
        endorser.endorse(bare(vendor(), reported_tcb=bytes(8)))


def test_a_busy_service_is_asked_again_after_a_pause(endorser: KdsEndorser, server: KdsServer, pauses: list[float]):
    server.busy = 2
    assert vendor().verify(endorser.endorse(bare(vendor())))
    assert len(pauses) == 2
    assert pauses[0] < pauses[1]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_service_that_stays_busy_is_no_pass(endorser: KdsEndorser, server: KdsServer, status: int):
    server.busy, server.status = 1000, status
    with pytest.raises(AttesterError, match=f"busy .HTTP {status}"):
        endorser.endorse(bare(vendor()))


@pytest.mark.parametrize("status", [301, 403, 500])
def test_a_service_that_answers_otherwise_is_no_pass(endorser: KdsEndorser, server: KdsServer, status: int):
    server.busy, server.status = 1000, status
    with pytest.raises(AttesterError, match=f"answered {status}"):
        endorser.endorse(bare(vendor()))


@pytest.mark.parametrize("name", ["cert_chain", "crl"])
def test_a_service_that_lacks_a_part_is_no_pass(endorser: KdsEndorser, server: KdsServer, name: str):
    del server.answers[f"/vcek/v1/Genoa/{name}"]
    with pytest.raises(AttesterError, match=f"to have /vcek/v1/Genoa/{name}"):
        endorser.endorse(bare(vendor()))


def test_a_service_that_is_away_is_no_pass(tmp_path: Path, clock: Clock, pauses: list[float]):
    with KdsServer(vendor()) as gone:
        endorser = endorser_at(gone, tmp_path, clock, pauses)
    with pytest.raises(AttesterError, match="is away"):
        endorser.endorse(bare(vendor()))
    assert not (tmp_path / "kept").exists()


def test_what_was_kept_serves_while_the_service_is_away(
    endorser: KdsEndorser, server: KdsServer, clock: Clock, caplog: pytest.LogCaptureFixture
):
    endorser.endorse(bare(vendor()))
    server.busy, clock.now = 1000, AT + timedelta(days=9)
    assert vendor().verify(endorser.endorse(bare(vendor())), at=clock.now)
    assert "could not be renewed" in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_list_that_has_expired_is_no_stand_in_for_a_service_that_is_away(
    endorser: KdsEndorser, server: KdsServer, clock: Clock
):
    endorser.endorse(bare(vendor()))
    server.busy, clock.now = 1000, EXPIRES + timedelta(days=1)
    with pytest.raises(AttesterError, match="busy"):
        endorser.endorse(bare(vendor()))


def test_what_does_not_vouch_for_the_report_is_neither_used_nor_kept(
    endorser: KdsEndorser, server: KdsServer, tmp_path: Path
):
    other = SnpVendor.create()
    server.answers = {path: next(iter(answers_of(other).values())) for path in server.answers} | {
        "/vcek/v1/Genoa/cert_chain": answers_of(other)["/vcek/v1/Genoa/cert_chain"],
        "/vcek/v1/Genoa/crl": other.crl,
    }
    with pytest.raises(AttesterError, match="vouches for the SNP report"):
        endorser.endorse(bare(vendor()))
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("body", [b"", b"<html>", b"\x30\x03\x02\x01\x01"])
def test_an_answer_that_is_no_certificate_is_neither_used_nor_kept(
    endorser: KdsEndorser, server: KdsServer, tmp_path: Path, body: bytes
):
    genuine = dict(server.answers)
    for path in genuine:
        server.answers = {**genuine, path: body}
        with pytest.raises(AttesterError):
            endorser.endorse(bare(vendor()))
    assert not (tmp_path / "kept").exists()
    server.answers = genuine
    assert vendor().verify(endorser.endorse(bare(vendor())))


def test_what_was_kept_and_is_damaged_is_asked_for_anew(endorser: KdsEndorser, tmp_path: Path):
    endorser.endorse(bare(vendor()))
    for path in (tmp_path / "kept").iterdir():
        whole = path.read_bytes()
        path.write_bytes(b"damaged")
        assert vendor().verify(endorser.endorse(bare(vendor())))
        assert path.read_bytes() == whole


def test_a_revoked_platform_stops_within_a_day(endorser: KdsEndorser, server: KdsServer, clock: Clock):
    endorser.endorse(bare(vendor()))
    authority = vendor().authority
    server.answers["/vcek/v1/Genoa/crl"] = authority.revocation_list([authority.ask.certificate])
    clock.now = AT + timedelta(hours=25)
    with pytest.raises(AttesterError, match="not revoked"):
        endorser.endorse(bare(vendor()))


@pytest.mark.parametrize("given", [1, 2, 3])
def test_what_the_host_handed_out_is_not_asked_for(endorser: KdsEndorser, server: KdsServer, given: int):
    chain = to_pem(*parse_pem(vendor().authority.chain())[:given])
    endorsed = endorser.endorse(evidence(vendor().report(), chain))
    assert vendor().verify(endorsed)
    issuers = [] if given == 3 else ["/vcek/v1/Genoa/cert_chain"]
    assert server.asked == [*issuers, "/vcek/v1/Genoa/crl"]


def test_a_vleks_issuers_are_asked_for_once_its_cloud_gave_it(tmp_path: Path, clock: Clock, pauses: list[float]):
    cloud = vendor(vlek=True)
    leaf = to_pem(parse_pem(cloud.authority.chain())[0])
    with KdsServer(cloud) as server:
        endorser = endorser_at(server, tmp_path, clock, pauses)
        assert cloud.verify(endorser.endorse(evidence(cloud.report(), leaf)))
        assert server.asked == ["/vlek/v1/Genoa/cert_chain", "/vlek/v1/Genoa/crl"]
        with pytest.raises(AttesterError, match="hand out the certificate of a VLEK"):
            endorser.endorse(bare(cloud))


def test_a_chip_that_its_host_masks_cannot_be_asked_about(endorser: KdsEndorser, server: KdsServer):
    with pytest.raises(AttesterError, match="that it masks"):
        endorser.endorse(bare(vendor(), chip_id=bytes(64)))
    assert server.asked == []


def test_a_debug_guest_is_not_endorsed(endorser: KdsEndorser):
    with pytest.raises(AttesterError, match="host cannot debug"):
        endorser.endorse(bare(vendor(), policy=1 << 17 | 1 << 19))


def test_what_is_no_report_is_not_endorsed(endorser: KdsEndorser):
    with pytest.raises(AttesterError, match="1184 bytes"):
        endorser.endorse(replace(bare(vendor()), quote=b"quote"))


def test_other_endorsements_stay(endorser: KdsEndorser):
    log = Endorsements(media_type="application/vnd.tcg.ccel", content=b"log")
    endorsed = endorser.endorse(replace(bare(vendor()), endorsements=[log]))
    assert endorsed.endorsements[0] == log
    assert len(endorsed.endorsements) == 3


@pytest.mark.parametrize("count", [0, 1, 3])
def test_issuers_are_two(count: int):
    with pytest.raises(MalformedError, match="ASK and ARK"):
        issuers_of(to_pem(*[b"certificate"] * count))


def settings(tmp_path: Path, endorsements: str) -> Settings:
    return Settings.parse({"endorsements": endorsements}, home=str(tmp_path))


def test_amd_is_asked_when_a_setting_says_so_and_else_nobody(tmp_path: Path):
    assert endorser_of(settings(tmp_path, "")) is None
    named = endorser_of(settings(tmp_path, "kds:amd"))
    assert isinstance(named, KdsEndorser)
    assert named._client.url == AMD_SERVICE == service(AMD_SERVICE).url
    cache = endorser_of(settings(tmp_path, "kds:https://kds.example.org/amd/"))
    assert isinstance(cache, KdsEndorser)
    assert cache._client.url == "https://kds.example.org/amd"


@pytest.mark.parametrize("text", ["kds:", "kds:intel", "kds:http://kds.example.org", "kds", "kds://amd"])
def test_a_setting_that_names_nobody_is_refused(tmp_path: Path, text: str):
    with pytest.raises(ConfigError, match="kds:amd or kds:https://host"):
        endorser_of(settings(tmp_path, text))


def test_an_attester_with_an_endorser_gives_evidence_that_can_be_judged_offline(endorser: KdsEndorser):
    class Host:
        """One that hands out no certificates."""

        def attest(self, report_data: bytes) -> Evidence:
            return bare(vendor(), report_data=report_data)

    shown = EndorsedAttester(Host(), endorser).attest(REPORT_DATA)
    assert vendor().verify(shown).report_data == REPORT_DATA
