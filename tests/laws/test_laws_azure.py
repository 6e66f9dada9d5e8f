"""What holds for every piece of an Azure VM's evidence, and for every change of one."""

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tee.azure.evidence import AzureEvidence
from airflow_provider_atlas.tee.azure.hcl import HclReport, trim
from airflow_provider_atlas.tee.azure.runtime_data import RuntimeData
from tests.support.simulated_azure import AzureTdx

AZURE = AzureTdx.create()
GENUINE = AZURE.show().quote
REAL = trim((Path(__file__).parents[1] / "vectors" / "tee" / "azure_hcl_tdx.bin").read_bytes())

changes = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=8)


def damaged(data: bytes, changed: list[tuple[int, int]]) -> bytes:
    octets = bytearray(data)
    for at, value in changed:
        octets[at % len(octets)] = value
    return bytes(octets)


@pytest.mark.parametrize("parse", [HclReport.parse, trim, RuntimeData.parse, AzureEvidence.parse])
@given(data=st.binary(max_size=2048) | changes.map(lambda changed: damaged(REAL, changed)))
def test_any_bytes_are_read_or_malformed(parse, data: bytes):
    with contextlib.suppress(MalformedError):
        parse(data)


@given(changes, st.integers(0, len(REAL)))
def test_a_damaged_report_has_one_spelling_or_is_malformed(changed: list[tuple[int, int]], size: int):
    for data in (damaged(REAL, changed), damaged(REAL, changed)[:size]):
        with contextlib.suppress(MalformedError):
            assert HclReport.parse(data).to_bytes() == data


@given(changes, st.integers(0, len(REAL)))
def test_damaged_runtime_data_is_read_or_malformed(changed: list[tuple[int, int]], size: int):
    with contextlib.suppress(MalformedError):
        RuntimeData.parse(damaged(AZURE.runtime.content, changed)[:size])


@pytest.mark.parametrize("bit", [0, 1, 5])
def test_a_flipped_bit_anywhere_in_the_evidence_is_refused(bit: int):
    shown = AZURE.show()
    for index in range(bit, len(GENUINE), 7):
        flipped = bytearray(GENUINE)
        flipped[index] ^= 1 << bit
        with contextlib.suppress(MalformedError, SignatureError):
            pytest.fail(f"byte {index}: {AZURE.verify(replace(shown, quote=bytes(flipped)))}")
