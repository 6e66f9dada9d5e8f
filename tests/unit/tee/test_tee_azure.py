"""Azure's confidential VMs: the paravisor's report, and the three links from silicon to a TPM's quote."""

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.azure.evidence import AzureEvidence
from airflow_provider_atlas.tee.azure.hcl import SNP_REPORT_TYPE, TDX_REPORT_TYPE, HclReport, trim
from airflow_provider_atlas.tee.azure.runtime_data import RuntimeData
from tests.support.real_quotes import azure_quote
from tests.support.simulated_azure import AzureSnp, AzureTdx, hcl_report, runtime_of, vm_id_sha256
from tests.support.simulated_tdx import GUEST
from tests.support.simulated_tpm import COMMITMENT, PCRS

VECTORS = Path(__file__).parents[2] / "vectors" / "tee"
REAL = {
    "snp": (SNP_REPORT_TYPE, slice(0x50, 0x90), "4131f80072f6792c9ad9dc46fb4bdd1dac306111886920c13bc146614f215ff4"),
    "tdx": (TDX_REPORT_TYPE, slice(128, 192), "bd29cb2d7f1db3bc6ecb0b1ddb1db5837c1bcb94c7eac48e2575defd64bbf35b"),
}


@pytest.fixture(scope="module")
def azure() -> AzureTdx:
    return AzureTdx.create()


@pytest.mark.parametrize("name", REAL)
def test_a_real_report_reads_as_it_was_written_and_commits_to_its_runtime_data(name: str):
    report_type, report_data, ak_sha256 = REAL[name]
    buffer = (VECTORS / f"azure_hcl_{name}.bin").read_bytes()
    report = HclReport.parse(trim(buffer))
    assert report.to_bytes() == trim(buffer)
    assert report.report_type == report_type
    assert report.runtime.attestation_key().sha256 == ak_sha256
    assert report.runtime.facts()["secure_boot"] == (name == "snp")
    report.runtime.check(report.hardware[report_data])


def test_a_real_quote_of_an_azure_tpm_is_genuine():
    key, signed = azure_quote()
    key.verify(signed.quote.to_bytes(), signed.signature)
    assert signed.pcr_digest() == signed.quote.pcr_digest
    assert signed.quote.extra_data == b"challenge"
    assert signed.quote.selection == tuple(range(24))


def test_its_claims_are_those_of_the_silicon_the_paravisor_and_the_tpm(azure: AzureTdx):
    claims = azure.verify(azure.show())
    assert (claims.tee, claims.tcb_status, claims.development) == ("azure-tdx", "UpToDate", True)
    assert claims.root_sha256 == azure.vendor.root_sha256
    assert claims.report_data == COMMITMENT
    assert claims.measurements["mrtd"] == GUEST.measurements()["mrtd"]
    assert claims.measurements["pcr7"] == PCRS[7].hex()
    assert claims.facts["ak_sha256"] == azure.tpm.ak_sha256
    assert claims.facts["vm_id_sha256"] == vm_id_sha256()
    assert claims.facts["secure_boot"] is True
    assert claims.facts["console_enabled"] is False
    assert claims.facts["reset_count"] == 7
    assert "fmspc" in claims.facts


def test_its_claims_on_snp_are_those_of_all_three_too():
    azure = AzureSnp.create()
    claims = azure.verify(azure.show())
    assert (claims.tee, claims.report_data, claims.development) == ("azure-snp", COMMITMENT, True)
    assert claims.root_sha256 == azure.vendor.root_sha256
    assert claims.measurements["measurement"] == azure.vendor.platform.pattern.measurement.hex()
    assert claims.measurements["pcr7"] == PCRS[7].hex()
    assert claims.facts["product"] == "Genoa"
    assert claims.facts["ak_sha256"] == azure.tpm.ak_sha256


def test_evidence_reads_as_it_was_written(azure: AzureTdx):
    genuine = azure.genuine()
    assert AzureEvidence.parse(genuine.to_bytes()) == genuine


@pytest.mark.parametrize("data", [b"", b"{}", b" {}", b"x" * (96 * 1024 + 1)])
def test_evidence_of_another_kind_is_malformed(data: bytes):
    with pytest.raises(MalformedError):
        AzureEvidence.parse(data)


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (0, b"HCLB", "begin with HCLA"),
        (8, b"\0\0\0\0", "sizes in an HCL report"),
        (16, b"\1", "reserved"),
        (0x4C0, b"\0\0\0\0", "sizes in an HCL report"),
        (0x4C4, b"\2", "version of the runtime data"),
        (0x4C8, b"\3", "not type 3"),
        (0x4CC, b"\2", "hash type"),
        (0x4D0, b"\0\0", "expected"),
        (0x4D4, b"[", "expected"),
    ],
)
def test_a_report_with_something_else_in_it_is_malformed(at: int, value: bytes, why: str):
    data = bytearray(trim((VECTORS / "azure_hcl_snp.bin").read_bytes()))
    data[at : at + len(value)] = value
    with pytest.raises(MalformedError, match=why):
        HclReport.parse(bytes(data))


def test_bytes_that_nothing_accounts_for_are_malformed(azure: AzureTdx):
    report = hcl_report(b"\1" * 1184, azure.runtime)
    assert HclReport.parse(trim(report)).hardware == b"\1" * 1184
    for padded in (report, trim(report) + b"\0"):
        with pytest.raises(MalformedError, match="bytes, not"):
            HclReport.parse(padded)
    with pytest.raises(MalformedError, match="nothing but zeros after the HCL report"):
        trim(report[:-1] + b"\1")
    with pytest.raises(MalformedError, match="nothing but zeros after the TDREPORT"):
        HclReport.parse(trim(hcl_report(b"\1" * 1184, azure.runtime, TDX_REPORT_TYPE)))
    with pytest.raises(MalformedError, match="at most 16384"):
        HclReport.parse(bytes(16385))


def runtime(**members: object) -> bytes:
    key = rsa.generate_private_key(65537, 2048).public_key()
    return runtime_of(key, **members).content


def test_runtime_data_without_its_members_is_malformed():
    genuine = runtime()
    assert RuntimeData.parse(genuine)
    spoilt = (
        b"",
        b"[]",
        genuine.replace(b"HCLAkPub", b"HCLEkPub"),
        genuine.replace(b'"RSA"', b'"EC"'),
        genuine.replace(b"AQAB", b"AQA*"),
        genuine.replace(b"AQAB", b"AQAC"),
        genuine.replace(b'"secure-boot":true', b'"secure-boot":1'),
        runtime(keys=[]),
        genuine.ljust(8193),
    )
    for content in spoilt:
        assert content != genuine
        with pytest.raises(MalformedError):
            RuntimeData.parse(content)


def test_two_keys_of_one_name_are_malformed():
    genuine = runtime()
    key = genuine[genuine.index(b"[") + 1 : genuine.index(b'],"vm')]
    with pytest.raises(MalformedError, match="one key HCLAkPub"):
        RuntimeData.parse(genuine.replace(key, key + b"," + key))


def test_the_report_data_of_runtime_data_is_its_digest_and_zeros(azure: AzureTdx):
    content = azure.runtime.content
    assert azure.runtime.report_data() == hashlib.sha256(content).digest() + bytes(32)
