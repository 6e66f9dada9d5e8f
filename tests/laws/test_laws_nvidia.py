"""What holds for every GPU report, and for every change of one."""

import contextlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.nvidia.report import GpuReport, MeasurementBlock

REAL = (Path(__file__).parents[1] / "vectors" / "tee" / "nvidia_h100.report").read_bytes()

octets = st.integers(0, 255)
blocks = st.builds(MeasurementBlock, index=octets, kind=octets, value=st.binary(max_size=64))
reports = st.builds(
    GpuReport,
    request=st.tuples(octets, octets, octets),
    nonce=st.binary(min_size=32, max_size=32),
    parameters=st.binary(min_size=2, max_size=2),
    blocks=st.lists(blocks, max_size=8, unique_by=lambda block: block.index).map(tuple),
    gpu_nonce=st.binary(min_size=32, max_size=32),
    fields=st.dictionaries(st.integers(0, 65535), st.binary(max_size=64), max_size=6),
    signature=st.binary(min_size=96, max_size=96),
)


@given(reports)
def test_every_report_reads_as_it_was_written(report: GpuReport):
    assert GpuReport.parse(report.to_bytes()) == report


@given(st.binary(max_size=512))
def test_any_bytes_are_read_or_malformed(data: bytes):
    with contextlib.suppress(MalformedError):
        GpuReport.parse(data)


@given(st.lists(st.tuples(st.integers(0, len(REAL) - 1), octets), max_size=8), st.integers(0, len(REAL)))
def test_a_damaged_report_has_one_spelling_or_is_malformed(changes: list[tuple[int, int]], size: int):
    damaged = bytearray(REAL)
    for at, value in changes:
        damaged[at] = value
    for data in (bytes(damaged), bytes(damaged[:size])):
        with contextlib.suppress(MalformedError):
            assert GpuReport.parse(data).to_bytes() == data
