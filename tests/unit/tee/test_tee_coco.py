"""The attester ``coco:`` with an agent on loopback that answers as Confidential Containers' own does."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import AttesterError, ConfigError, MalformedError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tee.backends.coco import CocoAttester
from airflow_provider_atlas.tee.coco.evidence import parse_evidence
from airflow_provider_atlas.tee.coco.snp_report import report_of
from airflow_provider_atlas.tee.evidence import DCAP_COLLATERAL, PEM_CERTIFICATE_CHAIN, SNP_REPORT, Endorsements
from airflow_provider_atlas.tee.pem import to_pem
from airflow_provider_atlas.wiring import tees
from tests.support import certificates
from tests.support.coco_agent import coco_agent, snp_answer, tdx_answer
from tests.support.json_server import json_server
from tests.support.simulated_tdx import REPORT_DATA, Vendor


@pytest.fixture(scope="module")
def vendor() -> Vendor:
    return Vendor.create()


def snp_report(cpu_family: int = 0x19, version: int = 3, report_data: bytes = REPORT_DATA) -> bytes:
    """Return an SNP report with something else in each field, and zeros where the silicon has zeros."""
    report = bytearray(octet % 251 + 1 for octet in range(1184))
    report[:4] = version.to_bytes(4, "little")
    report[0x4C:0x50] = bytes(4)
    report[0x50:0x90] = report_data
    report[0x188] = cpu_family if version > 2 else 0
    if version == 2:
        report[0x189:0x18B] = bytes(2)
    report[0x18B:0x1A0] = bytes(21)
    for at in (0x38, 0x180, 0x1E0, 0x1F0):
        report[at + 2 : at + 6] = bytes(4)
        if cpu_family == 0x1A:
            report[at + 3] = 7
            report[at + 4 : at + 7] = bytes(3)
            report[at + 2] = 5
    report[0x1EB] = report[0x1EF] = 0
    report[0x1F8:0x208] = bytes(16) if version < 5 else (b"\7" + bytes(7)) * 2
    for at in (8, 0x40):  # bits of which few are defined: JSON spells no number beyond 2^53
        report[at + 6 : at + 8] = bytes(2)
    report[0x208:0x2A0] = bytes(152)
    report[0x330:] = bytes(368)
    return bytes(report)


def test_its_evidence_of_tdx_is_genuine_and_commits_to_the_report_data(vendor: Vendor):
    with coco_agent(lambda data: tdx_answer(vendor.guest(report_data=data).quote)) as agent:
        shown = CocoAttester(agent.url).attest(REPORT_DATA)
        assert agent.requests[0].parameters == {
            "runtime_data": base64.urlsafe_b64encode(REPORT_DATA).decode().rstrip("="),
            "encoding": "base64",
        }
    assert (shown.tee, shown.provider, shown.endorsements) == ("tdx", "coco", ())
    endorsed = replace(shown, endorsements=(Endorsements(media_type=DCAP_COLLATERAL, content=vendor.collateral),))
    assert vendor.verify(endorsed).report_data == REPORT_DATA


@pytest.mark.parametrize(
    ("report", "old"),
    [
        (snp_report(version=2), True),
        (snp_report(version=2), False),
        (snp_report(version=3), False),
        (snp_report(version=5), False),
        (snp_report(cpu_family=0x1A, version=5), False),
    ],
    ids=["v2-old", "v2", "v3", "v5", "turin"],
)
def test_its_evidence_of_snp_is_the_report_that_the_silicon_signed(report: bytes, old: bool):
    leaf, ask, ark = certificates.root().issue("ASK", ca=True).issue("VCEK").chain
    entries = (("ARK", ark), ("ASK", to_pem(ask)), ("VCEK", leaf), ("OTHER", b"something else"))
    with coco_agent(lambda _: snp_answer(report, *entries, old=old)) as agent:
        shown = CocoAttester(agent.url).attest(REPORT_DATA)
    assert (shown.tee, shown.provider, shown.media_type) == ("sev-snp", "coco", SNP_REPORT)
    assert shown.quote == report
    assert [(one.media_type, one.content) for one in shown.endorsements] == [
        (PEM_CERTIFICATE_CHAIN, to_pem(leaf, ask, ark))
    ]


def test_a_host_without_certificates_gives_none():
    with coco_agent(lambda _: snp_answer(snp_report())) as agent:
        assert CocoAttester(agent.url).attest(REPORT_DATA).endorsements == ()


def test_the_setting_leads_to_it(vendor: Vendor, tmp_path: Path):
    with coco_agent(lambda data: tdx_answer(vendor.guest(report_data=data).quote)) as agent:
        attester = tees.attester(Settings.parse({"attester": f"coco:{agent.url}"}, home=str(tmp_path)))
        assert attester is not None
        assert attester.attest(REPORT_DATA).tee == "tdx"


def test_an_agent_that_takes_the_text_for_the_data_is_told(vendor: Vendor):
    answer = lambda data: tdx_answer(vendor.guest(report_data=data).quote)  # noqa: E731
    with (
        coco_agent(answer, knows_encoding=False) as agent,
        pytest.raises(AttesterError, match="too old"),
    ):
        CocoAttester(agent.url).attest(REPORT_DATA)


def test_evidence_for_other_data_is_told(vendor: Vendor):
    answers = (tdx_answer(vendor.guest(report_data=bytes(64)).quote), snp_answer(snp_report(report_data=bytes(64))))
    for answer in answers:
        with coco_agent(lambda _, answer=answer: answer) as agent, pytest.raises(AttesterError, match="commits to"):
            CocoAttester(agent.url).attest(REPORT_DATA)


def test_an_agent_without_a_tee_is_told():
    sample = {"svn": "1", "report_data": "AA=="}
    with coco_agent(lambda _: sample) as agent, pytest.raises(AttesterError, match="runs where there is none"):
        CocoAttester(agent.url).attest(REPORT_DATA)


@pytest.mark.parametrize("answer", [b"", b"not JSON", [], {"quote": "AA=="}, {"quote": "*"}, {"other": 1}])
def test_an_answer_that_is_no_evidence_is_told(answer: object):
    with coco_agent(lambda _: answer) as agent, pytest.raises(AttesterError, match="cannot use the evidence"):
        CocoAttester(agent.url).attest(REPORT_DATA)


def test_an_agent_that_is_away_is_told():
    with json_server({}) as server:
        with pytest.raises(AttesterError, match="it answers 404"):
            CocoAttester(server.url).attest(REPORT_DATA)
        url = server.url
    with pytest.raises(AttesterError, match="is the service running"):
        CocoAttester(url).attest(REPORT_DATA)


def test_an_answer_without_end_is_told():
    with coco_agent(lambda _: bytes(1 << 21)) as agent, pytest.raises(AttesterError, match="at most"):
        CocoAttester(agent.url).attest(REPORT_DATA)


def test_report_data_of_another_length_is_refused():
    with pytest.raises(AttesterError, match="64 bytes of report data, not 32"):
        CocoAttester("").attest(bytes(32))


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1:8006",
        "https://127.0.0.1:8006",
        "http://127.0.0.1",
        "http://127.0.0.1:8006/aa",
        "http://user@127.0.0.1:8006",
        "http://127.0.0.1.example.org:80",
        "127.0.0.1:8006",
    ],
)
def test_an_agent_elsewhere_is_refused(url: str):
    with pytest.raises(ConfigError, match="coco:http://127"):
        CocoAttester(url)


def members() -> Mapping[str, object]:
    report: Mapping[str, object] = snp_answer(snp_report())["attestation_report"]
    return report


@pytest.mark.parametrize(
    "change",
    [
        {"version": -1},
        {"version": 1 << 32},
        {"version": "2"},
        {"version": True},
        {"report_data": [0] * 63},
        {"report_data": "00" * 32},
        {"report_data": [256] * 64},
        {"measurement": None},
        {"current_tcb": 1},
        {"current_tcb": {"fmc": 256}},
        {"signature": {"r": [0] * 72}},
        {"signature": None},
    ],
    ids=ascii,
)
def test_a_report_with_something_else_in_it_is_malformed(change: Mapping[str, object]):
    with pytest.raises(MalformedError):
        report_of({**members(), **change})


@pytest.mark.parametrize("chain", [1, [1], [{"cert_type": "ARK"}], [{"cert_type": "ARK", "data": "AA"}]])
def test_certificates_that_are_none_are_malformed(chain: object):
    with pytest.raises(MalformedError):
        parse_evidence(json.dumps({"attestation_report": members(), "cert_chain": chain}).encode())


def test_an_answer_that_is_too_long_is_malformed():
    with pytest.raises(MalformedError, match="at most"):
        parse_evidence(bytes((1 << 20) + 1))
