"""The attester ``tpm:`` on a TPM in software, as a worker would use it, and what it says when it cannot."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import AttesterError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.tee.backends import tpm2_tools
from airflow_provider_atlas.tee.backends.tpm import TpmVerifier
from airflow_provider_atlas.tee.backends.tpm2_tools import Tpm
from airflow_provider_atlas.tee.backends.tpm_address import TpmAddress
from airflow_provider_atlas.tee.backends.tpm_attester import TpmAttester
from airflow_provider_atlas.tee.binding import is_committed
from airflow_provider_atlas.tee.evidence import PEM_CERTIFICATE_CHAIN
from airflow_provider_atlas.tee.pem import to_pem
from airflow_provider_atlas.wiring import tees
from tests.support import certificates
from tests.support.swtpm import ECC_AK, LOOSE_AK, RSA_AK, Swtpm, swtpm

pytestmark = pytest.mark.services

REPORT_DATA = bytes(range(64))


@pytest.fixture(scope="module")
def tpm() -> Iterator[Swtpm]:
    with swtpm() as running:
        running.make_keys()
        yield running


def verify(attester: TpmAttester, shown):
    return TpmVerifier().verify(shown, development_roots={attester.ak_sha256}, at=datetime.now(UTC))


@pytest.mark.parametrize("ak", [RSA_AK, ECC_AK], ids=["rsa", "ecc"])
def test_its_quote_is_genuine_and_commits_to_the_report_data(tpm: Swtpm, ak: int):
    attester = TpmAttester(tpm.address(ak))
    claims = verify(attester, attester.attest(REPORT_DATA))
    assert is_committed(REPORT_DATA, claims.report_data)
    assert claims.facts["ak_sha256"] == attester.ak_sha256
    assert claims.development


def test_an_emulator_calls_itself_simulated(tpm: Swtpm):
    assert TpmAttester(tpm.address()).attest(REPORT_DATA).provider == "simulated"


def test_it_quotes_the_registers_that_it_was_told_to(tpm: Swtpm):
    attester = TpmAttester(tpm.address(pcrs="0,16-17,23"))
    before = verify(attester, attester.attest(REPORT_DATA)).measurements
    assert list(before) == ["pcr0", "pcr16", "pcr17", "pcr23"]
    tpm.owner("tpm2_pcrextend 23:sha256=" + "ab" * 32)
    after = verify(attester, attester.attest(REPORT_DATA)).measurements
    assert [name for name in after if after[name] != before[name]] == ["pcr23"]


def test_the_setting_leads_to_it(tpm: Swtpm, tmp_path: Path):
    settings = Settings.parse({"attester": f"tpm:{tpm.address(ECC_AK)}"}, home=str(tmp_path))
    attester = tees.attester(settings)
    assert isinstance(attester, TpmAttester)
    shown = attester.attest(REPORT_DATA)
    claims = tees.evidence_verifiers()[shown.tee].verify(
        shown, development_roots={attester.ak_sha256}, at=datetime.now(UTC)
    )
    assert is_committed(REPORT_DATA, claims.report_data)


def test_the_certificates_of_its_key_travel_with_it(tpm: Swtpm, tmp_path: Path):
    (tmp_path / "ak.pem").write_bytes(to_pem(*certificates.root().issue("AK").chain))
    attester = TpmAttester(tpm.address(ECC_AK, certificates=str(tmp_path / "ak.pem")))
    assert [one.media_type for one in attester.attest(REPORT_DATA).endorsements] == [PEM_CERTIFICATE_CHAIN]
    (tmp_path / "ak.pem").write_bytes(b"no certificates")
    with pytest.raises(AttesterError, match="certificates"):
        TpmAttester(tpm.address(ECC_AK, certificates=str(tmp_path / "ak.pem")))


def test_many_at_once_all_get_their_quote(tpm: Swtpm):
    # A TPM serves one at a time, and this one has no resource manager: it would answer whoever speaks next.
    attester = TpmAttester(tpm.address(ECC_AK))
    wanted = [bytes([number]) * 64 for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        shown = list(pool.map(attester.attest, wanted))
    given = [verify(attester, one).report_data for one in shown]
    assert all(map(is_committed, wanted, given))


def test_no_key_at_the_handle_tells_how_to_make_one(tpm: Swtpm):
    with pytest.raises(AttesterError, match=r"no attestation key at 0x81010009 .*tpm2_createak .* 0x81010009"):
        TpmAttester(tpm.address(0x81010009))


def test_a_key_that_signs_anything_is_refused(tpm: Swtpm):
    with pytest.raises(AttesterError, match="could sign a quote that no TPM gave"):
        TpmAttester(tpm.address(LOOSE_AK))


def test_a_tpm_that_is_away_is_told():
    with swtpm() as other:
        address = other.address()
    with pytest.raises(AttesterError, match="tpm2_readpublic failed at the TPM swtpm:"):
        TpmAttester(address)


def test_a_key_that_went_away_is_told(tpm: Swtpm, monkeypatch: pytest.MonkeyPatch):
    attester = TpmAttester(tpm.address(ECC_AK))
    monkeypatch.setattr(attester._tpm, "_address", TpmAddress.parse(tpm.address(0x8101000A)))
    with pytest.raises(AttesterError, match="no attestation key at 0x8101000a"):
        attester.attest(REPORT_DATA)


def test_report_data_of_another_length_is_refused(tpm: Swtpm):
    with pytest.raises(AttesterError, match="64 bytes of report data, not 32"):
        TpmAttester(tpm.address()).attest(bytes(32))


def test_a_tpm_that_others_hold_for_too_long_is_an_error_in_time(tpm: Swtpm):
    address = TpmAddress.parse(tpm.address())
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with Tpm(address)._session():
            holding.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert holding.wait(10)
        with pytest.raises(AttesterError, match="busy all the time"):
            Tpm(address, timeout=0.2).quote(bytes(32))
    finally:
        done.set()
        thread.join()
    assert Tpm(address).quote(bytes(32))


def test_a_tpm_that_never_answers_is_an_error_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program = tmp_path / "tpm2_readpublic"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(AttesterError, match="no answer in time"):
        Tpm(TpmAddress.parse("swtpm:host=127.0.0.1,port=1"), timeout=0.3).attestation_key()


def test_missing_programs_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AttesterError, match="install tpm2-tools"):
        Tpm(TpmAddress.parse("swtpm:host=127.0.0.1,port=1")).attestation_key()


def test_a_machine_without_a_tpm_is_told():
    with pytest.raises(AttesterError, match="no TPM at /dev/nothing-here"):
        TpmAttester("device:/dev/nothing-here")


def test_a_tpm_that_this_user_may_not_open_is_told():
    program = (
        "import os, sys\n"
        "from airflow_provider_atlas.tee.backends.tpm2_tools import _check_device\n"
        "os.geteuid() or os.setuid(65534)\n"
        "_check_device(sys.argv[1])"
    )
    with tempfile.NamedTemporaryFile() as device:  # not in pytest's folder, which is private to its user
        os.chmod(device.name, 0)
        done = subprocess.run([sys.executable, "-c", program, device.name], capture_output=True, text=True, check=False)
    assert "this user cannot open" in done.stderr


def test_registers_that_do_not_hold_still_are_told(tpm: Swtpm, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tpm2_tools.SignedQuote, "pcr_digest", lambda _: bytes(32))
    with pytest.raises(AttesterError, match="hold still"):
        TpmAttester(tpm.address()).attest(REPORT_DATA)
