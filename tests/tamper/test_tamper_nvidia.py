"""Attacks on GPU reports, each by its name. One thing is wrong with each; everything else is genuine."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_atlas.errors import MalformedError, MissingError, SignatureError
from airflow_provider_atlas.tee.backends.nvidia import NvidiaVerifier
from airflow_provider_atlas.tee.binding import is_committed
from airflow_provider_atlas.tee.nvidia.report import DRIVER_VERSION, FIRMWARE_ID, MeasurementBlock
from airflow_provider_atlas.tee.pem import to_pem
from tests.support.simulated_gpu import SimulatedGpu, evidence, report_of
from tests.support.simulated_tpm import AT, COMMITMENT


@pytest.fixture(scope="module")
def gpu() -> SimulatedGpu:
    return SimulatedGpu.create()


@pytest.fixture(scope="module")
def stranger() -> SimulatedGpu:
    return SimulatedGpu.create()


def test_nothing_is_wrong_with_what_the_attacks_start_from(gpu: SimulatedGpu):
    assert gpu.verify(gpu.show()).report_data == COMMITMENT


def test_a_report_for_another_nonce_does_not_commit_to_ours(gpu: SimulatedGpu):
    assert not is_committed(bytes(range(64)), gpu.verify(gpu.show(nonce=bytes(32))).report_data)


@pytest.mark.parametrize(
    "parts",
    [
        {"nonce": bytes(32)},
        {"blocks": (MeasurementBlock(index=1, kind=1, value=b"\xee" * 48),)},
        {"fields": {**report_of().fields, DRIVER_VERSION: b"999.0\0"}},
        {"gpu_nonce": bytes(32)},
        {"request": (0, 255, 0)},
    ],
    ids=lambda parts: next(iter(parts)),
)
def test_another_part_under_a_genuine_signature_is_refused(gpu: SimulatedGpu, parts: dict[str, object]):
    forged = replace(gpu.sign(report_of()), **parts)
    with pytest.raises(SignatureError, match="to have signed the GPU report"):
        gpu.verify(gpu.evidence(forged.to_bytes()))


def test_a_foreign_root_is_refused(gpu: SimulatedGpu, stranger: SimulatedGpu):
    with pytest.raises(SignatureError, match="accepted development root"):
        gpu.verify(stranger.show())


def test_an_accepted_root_in_a_foreign_chain_is_refused(gpu: SimulatedGpu, stranger: SimulatedGpu):
    chain = (*stranger.signer.chain[:-1], gpu.signer.chain[-1])
    with pytest.raises(SignatureError, match="to have issued"):
        gpu.verify(replace(stranger.show(), endorsements=evidence(b"", to_pem(*chain)).endorsements))


def test_the_certificates_of_another_gpu_are_refused(gpu: SimulatedGpu):
    other = gpu.signer.above[1].issue("another GPU", ca=True).issue("firmware")
    with pytest.raises(SignatureError, match="to have signed the GPU report"):
        gpu.verify(replace(gpu.show(), endorsements=evidence(b"", to_pem(*other.chain)).endorsements))


def test_a_key_that_is_not_the_certificates_is_refused(gpu: SimulatedGpu):
    forged = gpu.sign(report_of(), ec.generate_private_key(ec.SECP384R1()))
    with pytest.raises(SignatureError, match="to have signed the GPU report"):
        gpu.verify(gpu.evidence(forged.to_bytes()))


def test_another_firmware_than_the_keys_is_refused(gpu: SimulatedGpu):
    fields = dict(report_of().fields)
    for other in ({**fields, FIRMWARE_ID: bytes(48)}, {**fields, FIRMWARE_ID: b""}, _without(fields, FIRMWARE_ID)):
        with pytest.raises(SignatureError, match="the firmware that its key was certified for"):
            gpu.verify(gpu.show(fields=other))


def _without(fields: dict[int, bytes], kind: int) -> dict[int, bytes]:
    return {name: value for name, value in fields.items() if name != kind}


def test_the_simulator_offered_to_a_policy_without_it_is_refused(gpu: SimulatedGpu):
    with pytest.raises(SignatureError, match="expected NVIDIA's root"):
        NvidiaVerifier().verify(gpu.show(), development_roots=(), at=AT)


def test_missing_certificates_are_no_answer(gpu: SimulatedGpu):
    with pytest.raises(MissingError):
        gpu.verify(evidence(gpu.show().quote))


def test_two_chains_or_an_empty_one_are_refused(gpu: SimulatedGpu):
    chain = to_pem(*gpu.signer.chain)
    for chains in ((chain, chain), (b"",)):
        with pytest.raises(MalformedError):
            gpu.verify(evidence(gpu.show().quote, *chains))


def test_evidence_that_calls_itself_another_tee_is_refused(gpu: SimulatedGpu):
    for shown in (replace(gpu.show(), tee="tdx"), replace(gpu.show(), media_type="application/octet-stream")):
        with pytest.raises(MalformedError, match="tee 'nvidia'"):
            gpu.verify(shown)
