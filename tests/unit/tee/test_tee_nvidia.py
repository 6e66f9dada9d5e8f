"""NVIDIA GPUs: how their reports read, and what their claims are. The real report is of an H100."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tee.backends.nvidia import NvidiaVerifier
from airflow_provider_atlas.tee.binding import is_committed
from airflow_provider_atlas.tee.certificates import parse_chain, spki_of
from airflow_provider_atlas.tee.nvidia.device_identity import NVIDIA_ROOT_SHA256
from airflow_provider_atlas.tee.nvidia.report import DRIVER_VERSION, VBIOS_VERSION, GpuReport, MeasurementBlock
from tests.support.simulated_gpu import SimulatedGpu, evidence, report_of

VECTORS = Path(__file__).parents[2] / "vectors" / "tee"
REAL = (VECTORS / "nvidia_h100.report").read_bytes()
REAL_CHAIN = (VECTORS / "nvidia_h100.pem").read_bytes()
REAL_AT = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def gpu() -> SimulatedGpu:
    return SimulatedGpu.create()


def test_a_real_report_is_genuine():
    claims = NvidiaVerifier().verify(evidence(REAL, REAL_CHAIN), development_roots=(), at=REAL_AT)
    assert (claims.tee, claims.development, claims.debug, claims.tcb_status) == ("nvidia", False, False, None)
    assert claims.root_sha256 == NVIDIA_ROOT_SHA256
    assert claims.report_data.hex() == "931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb"
    assert len(claims.measurements) == 64
    assert claims.measurements["measurement1"] == "00" * 48
    assert claims.facts["driver_version"] == "550.90.07"
    assert claims.facts["vbios_version"] == "96.00.9f.00.01"


def test_a_real_report_reads_as_it_was_written():
    assert GpuReport.parse(REAL).to_bytes() == REAL


def test_a_flipped_bit_anywhere_in_a_real_report_is_refused():
    for index in range(len(REAL)):
        flipped = bytearray(REAL)
        flipped[index] ^= 1 << (index % 8)
        with pytest.raises((MalformedError, SignatureError)):
            NvidiaVerifier().verify(evidence(bytes(flipped), REAL_CHAIN), development_roots=(), at=REAL_AT)


def test_its_claims_say_what_the_report_says_and_what_nobody_checked(gpu: SimulatedGpu):
    claims = gpu.verify(gpu.show())
    assert is_committed(bytes(range(64)), claims.report_data)
    assert claims.development
    assert claims.measurements["measurement64"] == "40" * 48
    device = parse_chain(gpu.signer.chain, "the chain")[1]
    assert claims.facts == {
        "driver_version": "550.90.07",
        "vbios_version": "96.00.9f.00.01",
        "device_key_sha256": sha256_hex(spki_of(device)),
        "rim": "not-checked",
        "ocsp": "not-checked",
    }


def test_a_gpu_whose_certificate_names_no_firmware_is_taken_at_its_word():
    gpu = SimulatedGpu.create(extensions={})
    assert gpu.verify(gpu.show()).facts["driver_version"] == "550.90.07"


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 0x12),  # SPDM 1.2
        (1, 0xE1),
        (37, 0x12),
        (38, 0x61),
        (41, 63),  # one block fewer than there are
        (42, 0),  # a shorter record
        (46, 2),  # a measurement by another specification
        (47, 50),  # a shorter measurement
        (50, 47),  # a shorter value in it
        (45, 2),  # an index twice
    ],
)
def test_a_report_in_another_layout_is_malformed(at: int, value: int):
    data = bytearray(REAL)
    assert data[at] != value
    data[at] = value
    with pytest.raises(MalformedError):
        GpuReport.parse(bytes(data))


@pytest.mark.parametrize("data", [b"", REAL[:-1], REAL + b"\0", REAL[:37], bytes(16385)])
def test_a_report_of_another_length_is_malformed(data: bytes):
    with pytest.raises(MalformedError):
        GpuReport.parse(data)


def test_one_field_twice_is_malformed():
    data = report_of().to_bytes()
    opaque = GpuReport.parse(data).fields
    first = next(iter(opaque))
    twice = first.to_bytes(2, "little") + b"\0\0"
    size = sum(4 + len(value) for value in opaque.values())
    at = len(data) - 96 - size
    longer = data[: at - 2] + (size + 4).to_bytes(2, "little") + data[at:-96] + twice + data[-96:]
    with pytest.raises(MalformedError, match="field of a GPU report once"):
        GpuReport.parse(longer)


@pytest.mark.parametrize(
    "fields",
    [{}, {DRIVER_VERSION: b"1"}, {DRIVER_VERSION: b"1", VBIOS_VERSION: b"2"}, {VBIOS_VERSION: bytes(8)}],
)
def test_a_report_that_names_no_versions_is_malformed(fields: dict[int, bytes]):
    gpu = SimulatedGpu.create(extensions={})
    with pytest.raises(MalformedError):
        gpu.verify(gpu.show(fields=fields))


def test_a_driver_version_that_is_no_text_is_malformed():
    gpu = SimulatedGpu.create(extensions={})
    with pytest.raises(MalformedError, match="in ASCII"):
        gpu.verify(gpu.show(fields={DRIVER_VERSION: b"\xff", VBIOS_VERSION: bytes(8)}))


def test_a_measurement_is_written_as_it_is_read():
    block = MeasurementBlock(index=1, kind=0x83, value=b"value")
    assert GpuReport.parse(report_of(blocks=(block,)).to_bytes()).blocks == (block,)
