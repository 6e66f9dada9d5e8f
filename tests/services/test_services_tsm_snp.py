"""SEV-SNP through the emulated configfs-tsm: privilege levels, and the certificates that a host hands out."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_atlas.errors import AttesterError
from airflow_provider_atlas.tee.backends.sev_snp import SevSnpVerifier
from airflow_provider_atlas.tee.backends.tsm import TsmAttester
from airflow_provider_atlas.tee.evidence import PEM_CERTIFICATE_CHAIN
from airflow_provider_atlas.tee.sev_snp.report import SnpReport
from airflow_provider_atlas.wiring import references
from tests.support.emulated_tsm import EmulatedTsm, read, write

pytestmark = pytest.mark.services

REPORT_DATA = bytes(range(64))


@pytest.fixture
def entry(mounted_snp: EmulatedTsm):
    made = mounted_snp.report / "one"
    made.mkdir()
    yield made
    made.rmdir()


def test_a_snp_request_has_its_seven_files_with_the_modes_of_linux(entry: Path):
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in entry.iterdir()} == {
        "generation": 0o444,
        "provider": 0o444,
        "inblob": 0o200,
        "outblob": 0o444,
        "auxblob": 0o444,
        "privlevel": 0o200,
        "privlevel_floor": 0o444,
    }
    assert (read(entry / "provider"), read(entry / "privlevel_floor")) == (b"sev_guest\n", b"0\n")


@pytest.mark.parametrize("text", [b"4", b"-1", b"two", b"\2"])
def test_what_is_no_privilege_level_is_einval(entry: Path, text: bytes):
    with pytest.raises(OSError, match="Invalid argument"):
        write(entry / "privlevel", text)


def test_its_evidence_is_genuine_and_simulated_by_its_root(mounted_snp: EmulatedTsm):
    shown = mounted_snp.attester().attest(REPORT_DATA)
    claims = SevSnpVerifier().verify(shown, development_roots={mounted_snp.root_sha256}, at=datetime.now(UTC))
    assert (shown.tee, shown.provider, claims.development, claims.report_data) == (
        *("sev-snp", "simulated"),
        *(True, REPORT_DATA),
    )
    assert [one.media_type for one in shown.endorsements] == [PEM_CERTIFICATE_CHAIN]


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_a_report_is_of_the_privilege_level_that_was_asked_for(mounted_snp: EmulatedTsm, level: int):
    shown = TsmAttester(root=mounted_snp.report, privlevel=level).attest(REPORT_DATA)
    assert SnpReport.parse(shown.quote).vmpl == level


def test_a_wiped_key_is_not_asked_again(mounted_snp: EmulatedTsm):
    mounted_snp.fail("ENOTTY")
    attester = TsmAttester(root=mounted_snp.report)
    with pytest.raises(AttesterError, match="reboot the guest"):
        attester.attest(REPORT_DATA)
    assert attester.attest(REPORT_DATA).quote, "the fault was met once, so nothing was asked twice"
    assert os.listdir(mounted_snp.report) == []


def test_a_policy_that_is_made_of_it_pins_what_was_launched_and_trusts_no_root_by_its_word(mounted_snp: EmulatedTsm):
    reference = references.reference_of(mounted_snp.attester())
    assert reference is not None
    assert (reference["tee"], sorted(reference["measurements"])) == ("sev-snp", ["host_data", "measurement"])
    assert "development_roots" not in reference
