"""The simulated TEE: one platform for each folder, whoever comes first, and never mistaken for silicon."""

import logging
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from airflow_provider_atlas.errors import AttesterError
from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester
from airflow_provider_atlas.tee.evidence import DCAP_COLLATERAL, TDX_QUOTE, Evidence
from airflow_provider_atlas.tee.tdx.collateral import Collateral
from airflow_provider_atlas.tee.tdx.quote import TdxQuote
from airflow_provider_atlas.tee.tdx.simulation.guest import GUEST

REPORT_DATA = bytes(range(64))


@pytest.fixture
def attester(tmp_path: Path) -> SimulatedAttester:
    return SimulatedAttester(tmp_path)


def verify(attester: SimulatedAttester, shown: Evidence, after: timedelta = timedelta()):
    return DcapVerifier().verify(shown, development_roots={attester.root_sha256}, at=datetime.now(UTC) + after)


def test_its_evidence_commits_to_the_report_data(attester: SimulatedAttester):
    shown = attester.attest(REPORT_DATA)
    assert (shown.tee, shown.provider, shown.media_type) == ("tdx", "simulated", TDX_QUOTE)
    assert [one.media_type for one in shown.endorsements] == [DCAP_COLLATERAL]
    assert verify(attester, shown).report_data == REPORT_DATA


def test_its_evidence_says_development(attester: SimulatedAttester):
    assert verify(attester, attester.attest(REPORT_DATA)).development


def test_its_evidence_can_still_be_judged_in_ten_years(attester: SimulatedAttester):
    assert verify(attester, attester.attest(REPORT_DATA), after=timedelta(days=3650)).tcb_status == "UpToDate"


def test_its_evidence_is_good_for_a_verifier_whose_clock_is_behind(attester: SimulatedAttester):
    assert verify(attester, attester.attest(REPORT_DATA), after=timedelta(hours=-23))


def test_its_measurements_are_the_documented_ones(attester: SimulatedAttester):
    assert attester.measurements == GUEST.measurements()
    assert attester.measurements["mrtd"].startswith("09063262519ddbf6")
    assert attester.measurements["mrconfigid"] == "00" * 48


def test_every_certificate_says_that_it_is_not_intels(attester: SimulatedAttester):
    shown = attester.attest(REPORT_DATA)
    chain = TdxQuote.parse(shown.quote).certification.chain
    ders = [chain.pck, chain.ca, chain.root, *Collateral.parse(shown.endorsements[0].content).signers()]
    for certificate in map(x509.load_der_x509_certificate, ders):
        for name in (certificate.subject, certificate.issuer):
            assert "(NOT INTEL)" in name.rfc4514_string()
            assert "Intel Corporation" not in name.rfc4514_string()


def test_its_root_is_the_one_in_its_quotes(attester: SimulatedAttester):
    chain = TdxQuote.parse(attester.attest(REPORT_DATA).quote).certification.chain
    assert (chain.root, chain.root_sha256) == (attester.root_der, attester.root_sha256)


def test_it_warns_that_it_proves_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    SimulatedAttester(tmp_path)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "prove nothing about any hardware" in caplog.text


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_report_data_of_another_size_is_refused(attester: SimulatedAttester, size: int):
    with pytest.raises(AttesterError, match="64 bytes"):
        attester.attest(bytes(size))


def test_whoever_comes_later_finds_the_same_platform(attester: SimulatedAttester, tmp_path: Path):
    assert SimulatedAttester(tmp_path).root_sha256 == attester.root_sha256


def test_two_folders_are_two_platforms(attester: SimulatedAttester, tmp_path: Path):
    assert SimulatedAttester(tmp_path / "other").root_sha256 != attester.root_sha256


def test_only_its_owner_can_read_its_key(attester: SimulatedAttester, tmp_path: Path):
    assert attester.root_der
    assert stat.S_IMODE((tmp_path / "tdx-v1" / "attestation-key.der").stat().st_mode) == 0o600


def test_only_what_a_quote_needs_is_kept(attester: SimulatedAttester, tmp_path: Path):
    assert attester.root_der
    kept = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert kept == ["tdx-v1/attestation-key.der", "tdx-v1/collateral.json", "tdx-v1/pattern.quote"]


CONTENDERS = """
import multiprocessing
import sys
from pathlib import Path
from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester
import airflow_provider_atlas.tee.tdx.simulation.endorsing  # all that is left to do is the platform

def contend(together, answers):
    together.wait()
    attester = SimulatedAttester(Path(sys.argv[1]))
    answers.put(f"{attester.root_sha256} {attester.attest(bytes(64)).quote.hex()}")

forking = multiprocessing.get_context("fork")
together, answers = forking.Barrier(8), forking.SimpleQueue()
processes = [forking.Process(target=contend, args=(together, answers)) for _ in range(8)]
for process in processes:
    process.start()
for process in processes:
    print(answers.get())
for process in processes:
    process.join()
"""


def test_eight_processes_at_once_make_one_platform(tmp_path: Path):
    folder = tmp_path / "simulator"
    command = [sys.executable, "-c", CONTENDERS, str(folder)]
    answers = [line.split() for line in subprocess.check_output(command, text=True, timeout=60).splitlines()]
    attester = SimulatedAttester(folder)
    assert [root for root, _ in answers] == [attester.root_sha256] * 8
    pattern = attester.attest(bytes(64))
    for _, quote in answers:
        assert verify(attester, replace(pattern, quote=bytes.fromhex(quote)))
    assert [path.name for path in folder.iterdir()] == ["tdx-v1"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "simulator").write_text("mine")
    with pytest.raises(AttesterError, match="simulated TDX platform in"):
        SimulatedAttester(tmp_path / "simulator")


def test_a_place_that_cannot_be_taken_is_refused_and_no_key_is_left_behind(tmp_path: Path):
    (tmp_path / "tdx-v1").symlink_to(tmp_path / "nowhere")
    with pytest.raises(AttesterError):
        SimulatedAttester(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tdx-v1"]


@pytest.mark.parametrize("name", ["attestation-key.der", "pattern.quote", "collateral.json"])
def test_a_platform_with_a_piece_missing_is_refused_and_not_made_anew(tmp_path: Path, name: str):
    SimulatedAttester(tmp_path)
    (tmp_path / "tdx-v1" / name).unlink()
    with pytest.raises(AttesterError, match=name):
        SimulatedAttester(tmp_path)
    assert not (tmp_path / "tdx-v1" / name).exists()


@pytest.mark.parametrize("name", ["attestation-key.der", "pattern.quote"])
def test_a_damaged_platform_is_refused(tmp_path: Path, name: str):
    SimulatedAttester(tmp_path)
    path = tmp_path / "tdx-v1" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AttesterError):
        SimulatedAttester(tmp_path)


def test_a_key_of_another_platform_is_refused(tmp_path: Path):
    SimulatedAttester(tmp_path)
    key = ec.generate_private_key(ec.SECP256R1())
    other = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "tdx-v1" / "attestation-key.der").write_bytes(other)
    with pytest.raises(AttesterError, match="attestation key"):
        SimulatedAttester(tmp_path)
