"""The layout of an NVIDIA GPU's report: an SPDM 1.1 request for measurements, and the response to it.

Little-endian. No signature is checked here::

    request    version u8 = 11 · code u8 = E0 · attributes u8 · operation u8 · nonce[32] · slot u8
    response   version u8 = 11 · code u8 = 60 · parameters[2] · blocks u8 · size u24 · block … · nonce[32]
               size u16 · opaque fields · signature r ‖ s[96] over all before it
    block      index u8 · specification u8 = 1 (DMTF) · size u16 · type u8 · size u16 · value
    field      type u16 · size u16 · value

See: DMTF DSP0274 1.1 §10.11 (GET_MEASUREMENTS); NVIDIA, nvtrust (opaque fields).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.octets import Octets

DRIVER_VERSION = 3
"""Type of the opaque field with the driver's version, as text that ends in NUL."""

VBIOS_VERSION = 6
"""Type of the opaque field with the firmware's version: eight bytes."""

FIRMWARE_ID = 20
"""Type of the opaque field with the digest of the first firmware, which the key's certificate names too."""

_MAX_SIZE = 16 * 1024
_SPDM = 0x11
_GET_MEASUREMENTS = 0xE0
_MEASUREMENTS = 0x60
_DMTF = 1
_NONCE_BYTES = 32
_SIGNATURE_BYTES = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementBlock:
    """One measurement: its index, the DMTF type of it, and its value."""

    index: int
    kind: int
    value: bytes

    @classmethod
    def take(cls, octets: Octets) -> "MeasurementBlock":
        """Take the next block. Raises MalformedError when it is none of DMTF's."""
        index = octets.integer(1)
        octets.expect(_DMTF, 1, "measurement specification")
        measurement = Octets(octets.take(octets.integer(2)), "a GPU's measurement")
        kind, value = measurement.integer(1), measurement.take(measurement.integer(2))
        measurement.end()
        return cls(index=index, kind=kind, value=value)

    def to_bytes(self) -> bytes:
        """Return this block as a report carries it."""
        measurement = bytes([self.kind]) + _u16(len(self.value)) + self.value
        return bytes([self.index, _DMTF]) + _u16(len(measurement)) + measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReport:
    """A GPU's report. ``nonce`` is what the caller asked with, ``gpu_nonce`` what the GPU added, 32 bytes each.

    ``request`` (attributes, operation, slot) and ``parameters`` are SPDM's. ``fields`` are NVIDIA's own, by type.
    """

    request: tuple[int, int, int]
    nonce: bytes
    parameters: bytes
    blocks: Sequence[MeasurementBlock]
    gpu_nonce: bytes
    fields: Mapping[int, bytes]
    signature: bytes

    @classmethod
    def parse(cls, data: bytes) -> "GpuReport":
        """Return the report in ``data``. Raises MalformedError for anything else, also for bytes after it."""
        if len(data) > _MAX_SIZE:
            raise MalformedError(f"expected a GPU report of at most {_MAX_SIZE} bytes")
        octets = Octets(data, "the GPU report")
        octets.expect(_SPDM, 1, "SPDM version of the request")
        octets.expect(_GET_MEASUREMENTS, 1, "request code")
        attributes, operation = octets.integer(1), octets.integer(1)
        nonce, slot = octets.take(_NONCE_BYTES), octets.integer(1)
        octets.expect(_SPDM, 1, "SPDM version of the response")
        octets.expect(_MEASUREMENTS, 1, "response code")
        parameters, count = octets.take(2), octets.integer(1)
        record = Octets(octets.take(octets.integer(3)), "the measurements of the GPU report")
        blocks = tuple(MeasurementBlock.take(record) for _ in range(count))
        record.end()
        report = cls(
            request=(attributes, operation, slot),
            nonce=nonce,
            parameters=parameters,
            blocks=blocks,
            gpu_nonce=octets.take(_NONCE_BYTES),
            fields=_fields(octets.take(octets.integer(2))),
            signature=octets.take(_SIGNATURE_BYTES),
        )
        octets.end()
        if len({block.index for block in blocks}) != count:
            raise MalformedError("expected each measurement of a GPU report once")
        return report

    def to_bytes(self) -> bytes:
        """Return this report as the GPU's driver gives it."""
        return self.signed_bytes() + self.signature

    def signed_bytes(self) -> bytes:
        """Return what the GPU's key signs: the request, and the response up to the signature."""
        attributes, operation, slot = self.request
        record = b"".join(block.to_bytes() for block in self.blocks)
        opaque = b"".join(_u16(kind) + _u16(len(value)) + value for kind, value in self.fields.items())
        return b"".join(
            (
                bytes([_SPDM, _GET_MEASUREMENTS, attributes, operation]),
                self.nonce,
                bytes([slot, _SPDM, _MEASUREMENTS]),
                self.parameters,
                bytes([len(self.blocks)]),
                len(record).to_bytes(3, "little"),
                record,
                self.gpu_nonce,
                _u16(len(opaque)),
                opaque,
            )
        )

    def driver_version(self) -> str:
        """Return the version of the driver, such as ``550.90.07``. Raises MalformedError when it is not said."""
        try:
            return self._field(DRIVER_VERSION).rstrip(b"\0").decode("ascii")
        except UnicodeDecodeError as error:
            raise MalformedError("expected the driver's version in a GPU report in ASCII") from error

    def vbios_version(self) -> str:
        """Return the version of the firmware, such as ``96.00.9f.00.01``. Raises MalformedError when it is not said."""
        version = self._field(VBIOS_VERSION)
        if len(version) != 8:
            raise MalformedError("expected the firmware's version in a GPU report to have 8 bytes")
        return ".".join(f"{octet:02x}" for octet in (*reversed(version[:4]), version[4]))

    def _field(self, kind: int) -> bytes:
        if kind not in self.fields:
            raise MalformedError(f"expected a GPU report to have the field {kind}")
        return self.fields[kind]


def _fields(data: bytes) -> Mapping[int, bytes]:
    fields: dict[int, bytes] = {}
    octets = Octets(data, "the opaque fields of the GPU report")
    left = len(data)
    while left:
        kind, value = octets.integer(2), octets.take(octets.integer(2))
        if kind in fields:
            raise MalformedError("expected each opaque field of a GPU report once")
        fields[kind] = value
        left -= 4 + len(value)
    return fields


def _u16(value: int) -> bytes:
    return value.to_bytes(2, "little")
