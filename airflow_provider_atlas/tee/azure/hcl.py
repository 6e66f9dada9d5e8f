"""The report of Azure's paravisor (HCL): a hardware report, and the runtime data that its report data commits to.

Little-endian, in the TPM's non-volatile index 0x01400001::

    0x000  'HCLA' · version u32 · size u32 · request type u32 · zeros[16]
    0x020  hardware report[1184]: an SEV-SNP report, or a TDREPORT (1024 bytes) and zeros
    0x4C0  size u32 · version u32 = 1 · report type u32 (2 SEV-SNP, 4 TDX) · hash type u32 = 1 (SHA-256) · length u32
    0x4D4  runtime data[length]

Nothing vouches for the numbers here, so the two parts travel without them.
See: https://learn.microsoft.com/azure/confidential-computing/guest-attestation-confidential-virtual-machines-design.
"""

from dataclasses import dataclass

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.azure.runtime_data import RuntimeData
from airflow_provider_atlas.tee.octets import Octets

HCL_INDEX = 0x01400001
"""The non-volatile index in which the paravisor leaves its report."""

SNP_REPORT_TYPE = 2
"""The hardware report is an SEV-SNP report."""

TDX_REPORT_TYPE = 4
"""The hardware report is a TDREPORT, with a MAC that only its own processor can check."""

_MAX_SIZE = 16 * 1024
_SIGNATURE = b"HCLA"
_HARDWARE_BYTES = 1184
_TDREPORT_BYTES = 1024
_HEADER_BYTES = 0x20
_RUNTIME_HEADER_BYTES = 20
_SHA256 = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HclReport:
    """A report of the paravisor, without the zeros that fill its index.

    ``hardware`` is 1184 bytes whatever the ``report_type``. ``version`` and ``request_type`` are the paravisor's.
    """

    version: int
    request_type: int
    hardware: bytes
    report_type: int
    runtime: RuntimeData

    @classmethod
    def parse(cls, data: bytes) -> "HclReport":
        """Return the report in ``data``. Raises MalformedError for anything else, also for bytes after it."""
        if len(data) > _MAX_SIZE:
            raise MalformedError(f"expected an HCL report of at most {_MAX_SIZE} bytes")
        octets = Octets(data, "the HCL report")
        if octets.take(4) != _SIGNATURE:
            raise MalformedError("expected an HCL report to begin with HCLA")
        version, size, request_type = octets.integer(4), octets.integer(4), octets.integer(4)
        octets.expect(0, 16, "reserved number")
        hardware, runtime_size = octets.take(_HARDWARE_BYTES), octets.integer(4)
        octets.expect(1, 4, "version of the runtime data")
        report_type = octets.integer(4)
        octets.expect(_SHA256, 4, "hash type")
        runtime = RuntimeData.parse(octets.take(octets.integer(4)))
        octets.end()
        report = cls(
            version=version, request_type=request_type, hardware=hardware, report_type=report_type, runtime=runtime
        )
        _check_hardware(report)
        if (size, runtime_size) != report.sizes:
            raise MalformedError("expected the sizes in an HCL report to be those of its parts")
        return report

    def to_bytes(self) -> bytes:
        """Return this report as the paravisor writes it, without zeros after it."""
        size, runtime_size = self.sizes
        content = self.runtime.content
        header = _words(self.version, size, self.request_type)
        runtime = _words(runtime_size, 1, self.report_type, _SHA256, len(content))
        return b"".join((_SIGNATURE, header, bytes(16), self.hardware, runtime, content))

    @property
    def sizes(self) -> tuple[int, int]:
        """Bytes of the whole, and of the runtime data with its header."""
        runtime = _RUNTIME_HEADER_BYTES + len(self.runtime.content)
        return _HEADER_BYTES + _HARDWARE_BYTES + runtime, runtime


def trim(buffer: bytes) -> bytes:
    """Return the HCL report at the start of ``buffer``, whose rest is zeros: the index has a fixed size.

    Raises MalformedError when the buffer is shorter than its report, or anything but zeros follows.
    """
    octets = Octets(buffer, "the HCL report")
    octets.take(_HEADER_BYTES + _HARDWARE_BYTES + _RUNTIME_HEADER_BYTES - 4)
    octets.take(octets.integer(4))
    padding = octets.rest()
    if any(padding):
        raise MalformedError("expected nothing but zeros after the HCL report")
    return buffer[: len(buffer) - len(padding)]


def _check_hardware(report: HclReport) -> None:
    if report.report_type not in {SNP_REPORT_TYPE, TDX_REPORT_TYPE}:
        raise MalformedError(f"expected an HCL report of SEV-SNP or TDX (type 2 or 4), not type {report.report_type}")
    if report.report_type == TDX_REPORT_TYPE and any(report.hardware[_TDREPORT_BYTES:]):
        raise MalformedError("expected nothing but zeros after the TDREPORT in an HCL report")


def _words(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)
