"""What holds for every TPM quote, and for every change of one."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tee.tpm.attestation_key import AttestationKey
from airflow_provider_atlas.tee.tpm.evidence import TpmEvidence
from airflow_provider_atlas.tee.tpm.structures import TpmQuote, TpmSignature
from tests.support.simulated_tpm import PCRS, SimulatedTpm, evidence, quote_of

ECC, RSA = SimulatedTpm.ecc(), SimulatedTpm.rsa()

quotes = st.builds(
    TpmQuote,
    signer=st.binary(max_size=66),
    extra_data=st.binary(max_size=64),
    clock=st.integers(0, (1 << 53) - 1),
    reset_count=st.integers(0, (1 << 32) - 1),
    restart_count=st.integers(0, (1 << 32) - 1),
    safe=st.booleans(),
    firmware_version=st.integers(0, (1 << 64) - 1),
    bitmap=st.binary(max_size=3),
    pcr_digest=st.binary(max_size=64),
)
hash_names = st.sampled_from(["sha256", "sha384", "sha512"])
numbers = st.binary(max_size=512)
signatures = st.builds(
    TpmSignature, scheme=st.sampled_from(["rsassa", "rsapss"]), hash_name=hash_names, values=st.tuples(numbers)
) | st.builds(TpmSignature, scheme=st.just("ecdsa"), hash_name=hash_names, values=st.tuples(numbers, numbers))


@given(quotes)
def test_every_quote_reads_as_it_was_written(quote: TpmQuote):
    assert TpmQuote.parse(quote.to_bytes()) == quote


@given(signatures)
def test_every_signature_reads_as_it_was_written(signature: TpmSignature):
    assert TpmSignature.parse(signature.to_bytes()) == signature


@given(signatures)
def test_every_signature_but_its_own_is_refused(signature: TpmSignature):
    for tpm in (ECC, RSA):
        with pytest.raises(SignatureError):
            AttestationKey(tpm.spki).verify(quote_of(PCRS).to_bytes(), signature)


@pytest.mark.parametrize("parse", [TpmQuote.parse, TpmSignature.parse, AttestationKey.parse, TpmEvidence.parse])
@given(data=st.binary(max_size=2048))
def test_any_bytes_are_read_or_malformed(parse, data: bytes):
    with contextlib.suppress(MalformedError):
        parse(data)


@given(st.lists(st.tuples(st.integers(0, 2047), st.integers(0, 255)), max_size=8), st.integers(0, 300))
def test_a_damaged_quote_has_one_spelling_or_is_malformed(changes: list[tuple[int, int]], size: int):
    damaged = bytearray(quote_of(PCRS).to_bytes())
    for at, value in changes:
        damaged[at % len(damaged)] = value
    for data in (bytes(damaged), bytes(damaged[:size])):
        with contextlib.suppress(MalformedError):
            assert TpmQuote.parse(data).to_bytes() == data


@pytest.mark.parametrize("tpm", [ECC, RSA], ids=["ecc", "rsa"])
def test_a_flipped_bit_anywhere_in_the_evidence_is_refused_or_names_another_key(tpm: SimulatedTpm):
    genuine = tpm.show(tpm.signed()).quote
    for index in range(len(genuine)):
        for bit in (0, 1, 2, 5):
            flipped = bytearray(genuine)
            flipped[index] ^= 1 << bit
            with contextlib.suppress(MalformedError, SignatureError):
                claims = tpm.verify(evidence(bytes(flipped)))
                pytest.fail(f"byte {index}, bit {bit} went unnoticed: {claims}")
