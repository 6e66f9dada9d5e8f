"""Attacks on the evidence of Azure's VMs, each by its name: one link of the three is broken, the others are genuine."""

from dataclasses import replace

import pytest

from airflow_provider_atlas.errors import MalformedError, MissingError, SignatureError
from airflow_provider_atlas.tee.backends.azure import AzureSnpVerifier, AzureTdxVerifier
from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
from airflow_provider_atlas.tee.backends.sev_snp import SevSnpVerifier
from airflow_provider_atlas.tee.binding import is_committed
from tests.support.simulated_azure import AzureSnp, AzureTdx, runtime_of
from tests.support.simulated_tdx import AT, Vendor
from tests.support.simulated_tpm import COMMITMENT, PCRS, SimulatedTpm

SEPT_VE_DISABLE = 1 << 28


@pytest.fixture(scope="module")
def azure() -> AzureTdx:
    return AzureTdx.create()


@pytest.fixture(scope="module")
def stranger() -> SimulatedTpm:
    return SimulatedTpm.rsa()


def test_nothing_is_wrong_with_what_the_attacks_start_from(azure: AzureTdx):
    assert azure.verify(azure.show()).report_data == COMMITMENT


def test_substituted_runtime_data_is_refused(azure: AzureTdx, stranger: SimulatedTpm):
    # The attack that it is all about: a genuine report, and a key of one's own.
    forged = runtime_of(stranger.key.public_key())
    with pytest.raises(SignatureError, match="commits to the runtime data"):
        azure.verify(azure.show(runtime=forged, signed=stranger.signed()))


@pytest.mark.parametrize("old", [b'"secure-boot":true', b'"console-enabled":false'])
def test_changed_runtime_data_is_refused(azure: AzureTdx, old: bytes):
    runtime = azure.runtime
    new = old.replace(b"true", b"null").replace(b"false", b"true").replace(b"null", b"false")
    forged = replace(runtime, content=runtime.content.replace(old, new))
    assert forged != runtime
    with pytest.raises(SignatureError, match="commits to the runtime data"):
        azure.verify(azure.show(runtime=forged))


def test_report_data_with_something_after_the_digest_is_refused(azure: AzureTdx):
    runtime = azure.runtime
    hardware = azure.hardware(runtime, report_data=runtime.report_data()[:32] + b"\1" * 32)
    with pytest.raises(SignatureError, match="commits to the runtime data"):
        azure.verify(azure.show(hardware=hardware))


def test_a_quote_by_another_tpm_is_refused(azure: AzureTdx, stranger: SimulatedTpm):
    with pytest.raises(SignatureError, match="attestation key signed"):
        azure.verify(azure.show(signed=stranger.signed()))


def test_a_quote_for_another_nonce_does_not_commit_to_ours(azure: AzureTdx):
    claims = azure.verify(azure.show(signed=azure.tpm.signed(extra_data=bytes(32))))
    assert not is_committed(bytes(range(64)), claims.report_data)


def test_another_value_of_a_register_is_refused(azure: AzureTdx):
    signed = replace(azure.tpm.signed(), pcrs={**PCRS, 7: bytes(32)})
    with pytest.raises(SignatureError, match="PCR values"):
        azure.verify(azure.show(signed=signed))


def test_a_flipped_byte_in_the_hardware_report_is_refused(azure: AzureTdx):
    hardware = bytearray(azure.genuine().hardware)
    hardware[200] ^= 1
    with pytest.raises(SignatureError, match="genuine quote"):
        azure.verify(azure.show(hardware=bytes(hardware)))


def test_a_foreign_root_is_refused(azure: AzureTdx):
    other = replace(azure, vendor=Vendor.create())
    with pytest.raises(SignatureError, match="accepted development root"):
        azure.verify(other.show())


def test_the_simulator_offered_to_a_policy_without_it_is_refused(azure: AzureTdx):
    with pytest.raises(SignatureError, match="expected Intel's root"):
        AzureTdxVerifier(DcapVerifier()).verify(azure.show(), development_roots=(), at=AT)


def test_a_debug_guest_is_refused(azure: AzureTdx):
    attributes = (SEPT_VE_DISABLE | 1).to_bytes(8, "little")
    with pytest.raises(SignatureError, match="cannot debug"):
        azure.verify(azure.show(hardware=azure.hardware(azure.runtime, td_attributes=attributes)))


def test_exceptions_to_the_host_are_refused_as_azures_own_guests_of_2024_are(azure: AzureTdx):
    with pytest.raises(SignatureError, match="SEPT_VE_DISABLE"):
        azure.verify(azure.show(hardware=azure.hardware(azure.runtime, td_attributes=bytes(8))))


def test_a_bare_tdreport_is_no_evidence(azure: AzureTdx):
    # Its MAC can be checked by the processor that made it, and by nobody else.
    with pytest.raises(MalformedError):
        azure.verify(azure.show(hardware=b"\x81" + bytes(1023)))


def test_missing_endorsements_are_no_answer(azure: AzureTdx):
    with pytest.raises(MissingError):
        azure.verify(replace(azure.show(), endorsements=()))


def test_evidence_that_calls_itself_another_tee_is_refused(azure: AzureTdx):
    for shown in (replace(azure.show(), tee="azure-snp"), replace(azure.show(), media_type="application/json")):
        with pytest.raises(MalformedError, match="tee 'azure-tdx'"):
            azure.verify(shown)


@pytest.mark.parametrize("vmpl", [1, 2, 0xFFFFFFFF])
def test_a_report_that_was_not_asked_for_by_the_paravisor_is_refused_whoever_signed_it(azure: AzureTdx, vmpl: int):
    hardware = bytes(0x30) + vmpl.to_bytes(4, "little") + bytes(1132)
    shown = replace(azure.show(hardware=hardware), tee="azure-snp")
    with pytest.raises(SignatureError, match="the paravisor asked for"):
        AzureSnpVerifier(DcapVerifier()).verify(shown, development_roots={azure.vendor.root_sha256}, at=AT)


@pytest.fixture(scope="module")
def snp() -> AzureSnp:
    return AzureSnp.create()


def test_nothing_is_wrong_with_the_snp_guest_that_the_attacks_start_from(snp: AzureSnp):
    assert snp.verify(snp.show()).report_data == COMMITMENT


def test_substituted_runtime_data_of_an_snp_guest_is_refused(snp: AzureSnp, stranger: SimulatedTpm):
    forged = runtime_of(stranger.key.public_key())
    with pytest.raises(SignatureError, match="commits to the runtime data"):
        snp.verify(snp.show(runtime=forged, signed=stranger.signed()))


def test_a_report_that_the_guest_below_the_paravisor_asked_for_is_refused(snp: AzureSnp):
    hardware = snp.hardware(runtime_of(snp.tpm.key.public_key()), vmpl=2)
    with pytest.raises(SignatureError, match="the paravisor asked for"):
        snp.verify(snp.show(hardware=hardware))


def test_a_flipped_byte_in_an_snp_report_is_refused(snp: AzureSnp):
    hardware = bytearray(snp.hardware(runtime_of(snp.tpm.key.public_key())))
    hardware[0x90] ^= 1
    with pytest.raises(SignatureError, match="to have signed the SNP report"):
        snp.verify(snp.show(hardware=bytes(hardware)))


def test_a_debug_snp_guest_is_refused(snp: AzureSnp):
    policy = snp.vendor.platform.pattern.policy | 1 << 19
    hardware = snp.hardware(runtime_of(snp.tpm.key.public_key()), policy=policy)
    with pytest.raises(SignatureError, match="cannot debug"):
        snp.verify(snp.show(hardware=hardware))


def test_an_snp_guest_under_a_foreign_root_is_refused(snp: AzureSnp):
    with pytest.raises(SignatureError, match="expected AMD's root"):
        AzureSnpVerifier(SevSnpVerifier()).verify(snp.show(), development_roots=(), at=AT)


def test_an_snp_report_of_no_size_is_malformed(snp: AzureSnp):
    for hardware in (b"", bytes(0x32), bytes(1183)):
        with pytest.raises(MalformedError):
            snp.verify(snp.show(hardware=hardware))
