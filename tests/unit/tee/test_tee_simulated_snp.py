"""The simulated SNP platform: one for each folder, and never mistaken for silicon."""

import logging
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from airflow_provider_atlas.errors import AttesterError, SignatureError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tee.backends.sev_snp import SevSnpVerifier
from airflow_provider_atlas.tee.backends.simulated import SimulatedAttester
from airflow_provider_atlas.tee.backends.simulated_snp import SimulatedSnpAttester
from airflow_provider_atlas.tee.evidence import PEM_CERTIFICATE_CHAIN, PKIX_CRL, SNP_REPORT, Evidence
from airflow_provider_atlas.tee.pem import parse_pem
from airflow_provider_atlas.tee.sev_snp.certificate_table import CertificateTable
from airflow_provider_atlas.wiring import references, tees
from tests.support.simulated_snp import evidence

REPORT_DATA = bytes(range(64))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a platform: its keys are as long as AMD's, and take their time."""
    folder = tmp_path_factory.mktemp("snp")
    SimulatedSnpAttester(folder)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it to break."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


@pytest.fixture
def attester(made: Path) -> SimulatedSnpAttester:
    return SimulatedSnpAttester(made)


def verify(attester: SimulatedSnpAttester, shown: Evidence, after: timedelta = timedelta()):
    return SevSnpVerifier().verify(shown, development_roots={attester.root_sha256}, at=datetime.now(UTC) + after)


def test_its_evidence_commits_to_the_report_data(attester: SimulatedSnpAttester):
    shown = attester.attest(REPORT_DATA)
    assert (shown.tee, shown.provider, shown.media_type) == ("sev-snp", "simulated", SNP_REPORT)
    assert [one.media_type for one in shown.endorsements] == [PEM_CERTIFICATE_CHAIN, PKIX_CRL]
    claims = verify(attester, shown)
    assert (claims.report_data, claims.development) == (REPORT_DATA, True)
    assert (claims.facts["product"], claims.facts["crl"]) == ("Genoa", "checked")


def test_no_policy_accepts_it_by_itself(attester: SimulatedSnpAttester):
    with pytest.raises(SignatureError, match="expected AMD's root"):
        SevSnpVerifier().verify(attester.attest(REPORT_DATA), development_roots=(), at=datetime.now(UTC))


@pytest.mark.parametrize("after", [timedelta(days=3650), timedelta(hours=-23)])
def test_its_evidence_can_be_judged_in_ten_years_and_by_a_clock_that_is_behind(attester, after: timedelta):
    assert verify(attester, attester.attest(REPORT_DATA), after)


def test_its_measurements_are_the_documented_ones(attester: SimulatedSnpAttester):
    claimed = verify(attester, attester.attest(REPORT_DATA)).measurements
    assert attester.measurements["measurement"].startswith("795603a81f496f41")
    assert attester.measurements.items() <= claimed.items()


def test_every_certificate_says_that_it_is_not_amds(attester: SimulatedSnpAttester):
    chain = parse_pem(attester.attest(REPORT_DATA).endorsements[0].content)
    assert chain[-1] == attester.root_der
    for certificate in map(x509.load_der_x509_certificate, chain):
        for name in (certificate.subject, certificate.issuer):
            assert "(NOT AMD)" in name.rfc4514_string()
            assert "Advanced Micro Devices" not in name.rfc4514_string()


def test_its_guests_get_reports_and_certificates_as_linux_gives_them(attester: SimulatedSnpAttester):
    report = attester.report(REPORT_DATA, vmpl=2)
    chain = CertificateTable.parse(attester.certificate_table).chain("VCEK")
    claims = verify(attester, evidence(report, chain))
    assert (claims.report_data, claims.facts["vmpl"]) == (REPORT_DATA, 2)


def test_it_warns_that_it_proves_nothing(made: Path, caplog: pytest.LogCaptureFixture):
    SimulatedSnpAttester(made)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "prove nothing about any hardware" in caplog.text


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_report_data_of_another_size_is_refused(attester: SimulatedSnpAttester, size: int):
    with pytest.raises(AttesterError, match="64 bytes"):
        attester.attest(bytes(size))


def test_whoever_comes_later_finds_the_same_platform(attester: SimulatedSnpAttester, made: Path):
    assert SimulatedSnpAttester(made).root_sha256 == attester.root_sha256


def test_only_its_owner_can_read_what_is_kept_and_only_what_a_report_needs_is(made: Path):
    kept = {
        str(path.relative_to(made)): stat.S_IMODE(path.stat().st_mode) for path in made.rglob("*") if path.is_file()
    }
    names = ("chain.pem", "pattern.report", "revoked.crl", "vcek-key.der")
    assert kept == {f"sev-snp-v1/{name}": 0o600 for name in names}


def test_it_shares_a_folder_with_the_simulated_tdx_platform(folder: Path):
    assert SimulatedAttester(folder).root_sha256 != SimulatedSnpAttester(folder).root_sha256
    assert sorted(path.name for path in folder.iterdir()) == ["sev-snp-v1", "tdx-v1"]


@pytest.mark.parametrize("name", ["vcek-key.der", "pattern.report", "chain.pem", "revoked.crl"])
def test_a_platform_with_a_piece_missing_is_refused_and_not_made_anew(folder: Path, name: str):
    (folder / "sev-snp-v1" / name).unlink()
    with pytest.raises(AttesterError, match=name):
        SimulatedSnpAttester(folder)
    assert not (folder / "sev-snp-v1" / name).exists()


@pytest.mark.parametrize("name", ["vcek-key.der", "pattern.report", "chain.pem"])
def test_a_damaged_platform_is_refused(folder: Path, name: str):
    path = folder / "sev-snp-v1" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AttesterError, match="simulated SNP platform in"):
        SimulatedSnpAttester(folder)


def test_a_key_of_another_platform_is_refused(folder: Path):
    other = ec.generate_private_key(ec.SECP384R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    (folder / "sev-snp-v1" / "vcek-key.der").write_bytes(other)
    with pytest.raises(AttesterError, match="certificates to be of its key"):
        SimulatedSnpAttester(folder)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "simulator").write_text("mine")
    with pytest.raises(AttesterError, match="simulated SNP platform in"):
        SimulatedSnpAttester(tmp_path / "simulator")


def test_a_setting_names_it(made: Path, tmp_path: Path):
    settings = Settings.parse({"attester": f"simulated-snp:{made}"}, home=str(tmp_path))
    attester = tees.attester(settings)
    assert isinstance(attester, SimulatedSnpAttester)
    assert references.reference_of(attester) == {
        "tee": "sev-snp",
        "development_roots": [attester.root_sha256],
        "measurements": {name: [value] for name, value in attester.measurements.items()},
    }
