"""Attacks on Nitro documents, each by its name. One thing is wrong with each; everything else is genuine."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tee.backends.nitro import NitroVerifier
from airflow_provider_atlas.tee.binding import is_committed
from airflow_provider_atlas.tee.nitro.cbor import to_cbor
from tests.support.simulated_nitro import MADE, PCRS, REPORT_DATA, Hypervisor, evidence


@pytest.fixture(scope="module")
def hypervisor() -> Hypervisor:
    return Hypervisor.create()


@pytest.fixture(scope="module")
def stranger() -> Hypervisor:
    return Hypervisor.create()


def test_nothing_is_wrong_with_what_the_attacks_start_from(hypervisor: Hypervisor):
    assert hypervisor.verify(hypervisor.show()).report_data == REPORT_DATA


def test_a_document_for_another_record_does_not_commit_to_ours(hypervisor: Hypervisor):
    assert not is_committed(REPORT_DATA, hypervisor.verify(hypervisor.show(user_data=bytes(64))).report_data)


@pytest.mark.parametrize("user_data", [None, b"", bytes(32), bytes(65), bytes(512)])
def test_user_data_of_another_length_is_refused(hypervisor: Hypervisor, user_data: bytes | None):
    # Its SHA-256 would do for is_committed, but this TEE has room for all 64 bytes: one spelling.
    with pytest.raises(SignatureError, match="64 bytes of user data"):
        hypervisor.verify(hypervisor.show(user_data=user_data))


@pytest.mark.parametrize("member", ["user_data", "pcrs"])
def test_another_payload_under_a_genuine_signature_is_refused(hypervisor: Hypervisor, member: str):
    other = {"user_data": bytes(64), "pcrs": {**PCRS, 0: b"\xee" * 48}}[member]
    forged = replace(hypervisor.document(), payload=to_cbor(hypervisor.payload(**{member: other})))
    with pytest.raises(SignatureError, match="to have signed the Nitro document"):
        hypervisor.verify(evidence(forged.to_bytes()))


def test_a_foreign_root_is_refused(hypervisor: Hypervisor, stranger: Hypervisor):
    with pytest.raises(SignatureError, match="accepted development root"):
        hypervisor.verify(stranger.show())


def test_an_accepted_root_in_a_foreign_chain_is_refused(hypervisor: Hypervisor, stranger: Hypervisor):
    bundle = [hypervisor.signer.chain[-1], *stranger.payload()["cabundle"][1:]]
    with pytest.raises(SignatureError, match="to have issued"):
        hypervisor.verify(stranger.show(cabundle=bundle))


def test_a_key_that_is_not_the_certificates_is_refused(hypervisor: Hypervisor):
    evil = ec.generate_private_key(ec.SECP384R1())
    with pytest.raises(SignatureError, match="to have signed the Nitro document"):
        hypervisor.verify(evidence(hypervisor.document(key=evil).to_bytes()))


def test_a_certificate_that_an_enclaves_own_issued_is_refused(hypervisor: Hypervisor):
    # The enclave's certificate is no authority, or each enclave could make documents of its own.
    child = replace(hypervisor, signer=hypervisor.signer.issue("mine"))
    with pytest.raises(SignatureError, match="to be an authority"):
        hypervisor.verify(child.show())


def test_a_key_on_another_curve_is_refused(hypervisor: Hypervisor):
    key = ec.generate_private_key(ec.SECP256R1())
    other = replace(hypervisor, signer=hypervisor.signer.above[0].issue("p256", key))
    document = replace(other.document(payload=to_cbor(other.payload()), key=hypervisor.signer.key))
    with pytest.raises(SignatureError, match="a key on P-384"):
        hypervisor.verify(evidence(document.to_bytes()))


def test_the_simulator_offered_to_a_policy_without_it_is_refused(hypervisor: Hypervisor):
    with pytest.raises(SignatureError, match="expected AWS's root"):
        NitroVerifier().verify(hypervisor.show(), development_roots=(), at=MADE)


def test_a_document_is_good_for_three_hours(hypervisor: Hypervisor):
    assert hypervisor.verify(hypervisor.show(), MADE + timedelta(hours=3))
    for late in (timedelta(hours=3, seconds=1), timedelta(seconds=-3)):
        with pytest.raises(SignatureError, match="to be valid at"):
            hypervisor.verify(hypervisor.show(), MADE + late)


@pytest.mark.parametrize("away", [timedelta(hours=4), timedelta(seconds=-5)])
def test_a_time_that_its_key_did_not_live_at_is_refused(hypervisor: Hypervisor, away: timedelta):
    shown = hypervisor.show(timestamp=int((MADE + away).timestamp() * 1000))
    with pytest.raises(SignatureError, match="while its key was valid"):
        hypervisor.verify(shown)


@pytest.mark.parametrize("pcrs", [{index: bytes(48) for index in range(16)}, {1: b"\1" * 48}, {}])
def test_a_debug_enclave_is_refused(hypervisor: Hypervisor, pcrs: dict[int, bytes]):
    with pytest.raises(SignatureError, match="cannot debug"):
        hypervisor.verify(hypervisor.show(pcrs=pcrs))


def test_a_certificate_that_is_none_is_malformed(hypervisor: Hypervisor):
    with pytest.raises(MalformedError, match="certificates in DER"):
        hypervisor.verify(hypervisor.show(certificate=b"none"))


def test_evidence_that_calls_itself_another_tee_is_refused(hypervisor: Hypervisor):
    for shown in (replace(hypervisor.show(), tee="tpm"), replace(hypervisor.show(), media_type="application/cbor")):
        with pytest.raises(MalformedError, match="tee 'nitro'"):
            hypervisor.verify(shown)


def test_a_flipped_bit_anywhere_is_refused(hypervisor: Hypervisor):
    genuine = hypervisor.document().to_bytes()
    for index in range(len(genuine)):
        flipped = bytearray(genuine)
        flipped[index] ^= 1 << (index % 8)
        with pytest.raises((MalformedError, SignatureError)):
            hypervisor.verify(evidence(bytes(flipped)))
