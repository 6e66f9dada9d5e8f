"""What holds for every Nitro document, and for every change of one. The real one is of AWS."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import AttesterError, MalformedError, SignatureError
from airflow_provider_atlas.tee.backends.nitro import NitroVerifier
from airflow_provider_atlas.tee.nitro.aws import AWS_NITRO_ROOT_SHA256
from airflow_provider_atlas.tee.nitro.document import NitroDocument, NitroPayload
from airflow_provider_atlas.tee.nitro.nsm import attestation_document
from tests.support.simulated_nitro import evidence

REAL = (Path(__file__).parents[1] / "vectors" / "tee" / "nitro.document").read_bytes()
REAL_AT = datetime(2024, 9, 7, 14, 37, 40, tzinfo=UTC)
# The last check of all is what it fails by: it commits to 1024 bytes, which no record of ours does.
GENUINE = "commits to 64 bytes of user data"


def test_a_real_document_is_genuine():
    with pytest.raises(SignatureError, match=GENUINE):
        NitroVerifier().verify(evidence(REAL), development_roots=(), at=REAL_AT)
    payload = NitroDocument.parse(REAL).claims()
    assert sha256_hex(payload.chain[-1]) == AWS_NITRO_ROOT_SHA256
    assert payload.pcrs[0].hex().startswith("e72a46ca80a260fb")
    assert (payload.module_id, payload.debug) == ("i-0a22e5c5f24d22174-enc0191cceb4289903f", False)
    assert datetime.fromtimestamp(payload.timestamp / 1000, UTC).replace(microsecond=0) == REAL_AT.replace(second=39)


def test_a_flipped_bit_anywhere_in_a_real_document_is_refused():
    for index in range(0, len(REAL), 3):
        flipped = bytearray(REAL)
        flipped[index] ^= 1 << (index % 8)
        with pytest.raises((MalformedError, SignatureError)) as refusal:
            NitroVerifier().verify(evidence(bytes(flipped)), development_roots=(), at=REAL_AT)
        assert GENUINE not in str(refusal.value), index


@given(st.binary(max_size=512), st.binary(min_size=96, max_size=96))
def test_every_document_reads_as_it_was_written(payload: bytes, signature: bytes):
    document = NitroDocument(payload=payload, signature=signature)
    assert NitroDocument.parse(document.to_bytes()) == document


damages = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=8)


def damaged(data: bytes, changes: list[tuple[int, int]]) -> bytes:
    octets = bytearray(data)
    for at, value in changes:
        octets[at % len(octets)] = value
    return bytes(octets)


@pytest.mark.parametrize("parse", [NitroDocument.parse, NitroPayload.parse, attestation_document])
@given(data=st.binary(max_size=512))
def test_any_bytes_are_read_or_malformed(parse, data: bytes):
    with contextlib.suppress(MalformedError, AttesterError):
        parse(data)


@given(damages, st.integers(0, len(REAL)))
def test_a_damaged_document_has_one_spelling_or_is_malformed(changes: list[tuple[int, int]], size: int):
    payload = NitroDocument.parse(REAL).payload
    for data in (damaged(payload, changes), damaged(payload, changes)[:size]):
        with contextlib.suppress(MalformedError):
            NitroPayload.parse(data)
    with contextlib.suppress(MalformedError):
        data = damaged(REAL, changes)
        assert NitroDocument.parse(data).to_bytes() == data
