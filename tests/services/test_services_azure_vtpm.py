"""The attester ``azure-vtpm:`` on a TPM in software that holds what a paravisor would leave in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from airflow_provider_atlas.errors import AttesterError, ConfigError
from airflow_provider_atlas.tee.azure.evidence import AzureEvidence
from airflow_provider_atlas.tee.azure.hcl import HCL_INDEX, TDX_REPORT_TYPE
from airflow_provider_atlas.tee.backends.azure_vtpm import AzureVtpmAttester
from airflow_provider_atlas.tee.backends.tpm2_tools import Tpm
from airflow_provider_atlas.tee.backends.tpm_address import TpmAddress
from airflow_provider_atlas.tee.binding import is_committed
from airflow_provider_atlas.tee.evidence import PEM_CERTIFICATE_CHAIN
from airflow_provider_atlas.tee.pem import parse_pem, to_pem
from airflow_provider_atlas.wiring import tees
from tests.support import certificates
from tests.support.json_server import json_server
from tests.support.simulated_azure import hcl_report, runtime_of
from tests.support.simulated_snp import AT, vendor
from tests.support.swtpm import Swtpm, swtpm

pytestmark = pytest.mark.services

REPORT_DATA = bytes(range(64))
HARDWARE = bytes(range(256)) * 4 + bytes(160)
AZURE_AK = 0x81000003
VECTORS = Path(__file__).parents[1] / "vectors" / "tee"


@pytest.fixture(scope="module")
def tpm() -> Iterator[Swtpm]:
    with swtpm() as running:
        running.owner("tpm2_createek -Q -c ek.ctx -G rsa -u ek.pub")
        running.make_ak(AZURE_AK, "-G rsa -g sha256 -s rsassa")
        yield running


@pytest.fixture
def key(tpm: Swtpm) -> rsa.RSAPublicKey:
    address = TpmAddress.parse(tpm.tcti, ak=AZURE_AK)
    key = load_der_public_key(Tpm(address).attestation_key().spki)
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def test_its_quote_follows_from_the_report_in_the_tpm(tpm: Swtpm, key: rsa.RSAPublicKey):
    runtime = runtime_of(key)
    tpm.write_nv(HCL_INDEX, hcl_report(HARDWARE, runtime))
    shown = AzureVtpmAttester(tpm.tcti).attest(REPORT_DATA)
    assert (shown.tee, shown.provider, shown.endorsements) == ("azure-snp", "simulated", ())
    evidence = AzureEvidence.parse(shown.quote)
    assert (evidence.hardware, evidence.runtime) == (HARDWARE, runtime)
    evidence.signed.verify(runtime.attestation_key())
    assert is_committed(REPORT_DATA, evidence.signed.quote.extra_data)
    assert evidence.signed.quote.selection == tuple(range(24))


def test_the_whole_chain_from_a_simulated_processor_to_the_quote_is_genuine(tpm: Swtpm, key: rsa.RSAPublicKey):
    processor, runtime = vendor("Milan"), runtime_of(key)
    hardware = processor.report(report_data=runtime.report_data(), vmpl=0)
    tpm.write_nv(HCL_INDEX, hcl_report(hardware, runtime))
    leaf, *issuers = parse_pem(processor.authority.chain())
    answer = {"vcekCert": to_pem(leaf).decode(), "certificateChain": to_pem(*issuers).decode()}
    with json_server({"/certification": answer}) as server:
        shown = AzureVtpmAttester(f"{tpm.tcti}?thim={server.url}/certification").attest(REPORT_DATA)
    verifier = tees.evidence_verifiers()[shown.tee]
    claims = verifier.verify(shown, development_roots={processor.root_sha256}, at=AT)
    assert is_committed(REPORT_DATA, claims.report_data)
    assert claims.facts["ak_sha256"] == runtime.attestation_key().sha256
    assert (claims.root_sha256, claims.development, shown.provider) == (processor.root_sha256, True, "simulated")


def test_the_certificates_of_the_processor_come_from_where_it_is_told(tpm: Swtpm, key: rsa.RSAPublicKey):
    tpm.write_nv(HCL_INDEX, hcl_report(HARDWARE, runtime_of(key)))
    leaf, ask, ark = certificates.root().issue("ASK", ca=True).issue("VCEK").chain
    answer = {
        "vcekCert": to_pem(leaf).decode().replace("\n", "\r\n"),
        "tcbm": "DB18000000000004",
        "certificateChain": to_pem(ask, ark).decode() + "\n",
        "cacheControl": "86400",
    }
    with json_server({"/certification": answer}) as server:
        shown = AzureVtpmAttester(f"{tpm.tcti}?thim={server.url}/certification").attest(REPORT_DATA)
        assert server.requests[0].headers["Metadata"] == "true"
    assert [(one.media_type, one.content) for one in shown.endorsements] == [
        (PEM_CERTIFICATE_CHAIN, to_pem(leaf, ask, ark))
    ]


@pytest.mark.parametrize("answer", [{}, {"vcekCert": "x", "certificateChain": "y"}, None])
def test_an_answer_without_certificates_is_told(tpm: Swtpm, key: rsa.RSAPublicKey, answer: object):
    tpm.write_nv(HCL_INDEX, hcl_report(HARDWARE, runtime_of(key)))
    pages = {} if answer is None else {"/certification": answer}
    with json_server(pages) as server, pytest.raises(AttesterError, match="certificates"):
        AzureVtpmAttester(f"{tpm.tcti}?thim={server.url}/certification")


def test_nobody_is_asked_who_is_not_named(tpm: Swtpm):
    with pytest.raises(ConfigError, match="imds or a URL"):
        AzureVtpmAttester(f"{tpm.tcti}?thim=file:/etc/passwd")


def test_a_report_of_another_vm_is_told(tpm: Swtpm):
    # A real one, whose key this TPM does not have.
    tpm.write_nv(HCL_INDEX, (VECTORS / "azure_hcl_snp.bin").read_bytes())
    with pytest.raises(AttesterError, match="name the key that the TPM quotes with"):
        AzureVtpmAttester(tpm.tcti)


def test_a_vm_with_tdx_is_told(tpm: Swtpm, key: rsa.RSAPublicKey):
    tpm.write_nv(HCL_INDEX, hcl_report(bytes(1184), runtime_of(key), TDX_REPORT_TYPE))
    with pytest.raises(AttesterError, match="those with TDX cannot be judged"):
        AzureVtpmAttester(tpm.tcti)


def test_a_tpm_without_a_paravisor_is_told(tpm: Swtpm):
    tpm.write_nv(HCL_INDEX, b"nothing of the kind".ljust(2048, b"\0"))
    with pytest.raises(AttesterError, match="no confidential VM"):
        AzureVtpmAttester(tpm.tcti)
    tpm.owner(f"tpm2_nvundefine -Q -C o {HCL_INDEX:#x}")
    with pytest.raises(AttesterError, match="cannot read the index 0x01400001"):
        AzureVtpmAttester(tpm.tcti)
