"""The layout of an Intel TDX quote, versions 4 and 5. No signature is checked here.

Little-endian. Version 5 differs in one place: it names the type of the report and its size::

    header     version u16 · key type u16 = 2 (ECDSA P-256) · tee u32 = 0x81 · qe svn u16 · pce svn u16
               vendor[16] = 939a7233f79c4ca9940a0db3957f0607 · user data[20]
    (v5)       report type u16 (2 = TDX 1.0, 3 = TDX 1.5, 4 = TDX 1.5 extended) · size u32
    report     584, 648 or 885 bytes
    u32 size   of the rest: signature r ‖ s[64] over all before the size · attestation key x ‖ y[64]
               certification data type u16 = 6 · u32 size · certification

The length is exact: whoever reads a padded buffer from a driver trims it first.
See: Intel TDX DCAP Quoting Library API, appendix A.3 (version 4) and A.4 (version 5).
"""

from dataclasses import dataclass

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tee.octets import Octets
from airflow_provider_atlas.tee.tdx.certification import Certification
from airflow_provider_atlas.tee.tdx.report import TD_REPORT_15_EX_SIZE, TD_REPORT_15_SIZE, TD_REPORT_SIZE, TdReport

_MAX_SIZE = 32 * 1024  # TSM_REPORT_OUTBLOB_MAX of Linux: no guest can obtain a longer one
_ECDSA_P256 = 2
_TDX = 0x81
_INTEL_QE = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
_QE_REPORT_CERTIFICATION = 6
_REPORT_TYPE = {TD_REPORT_SIZE: 2, TD_REPORT_15_SIZE: 3, TD_REPORT_15_EX_SIZE: 4}
_REPORT_SIZE = {kind: size for size, kind in _REPORT_TYPE.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxQuote:
    """A TDX quote: a guest's ``report``, signed by an attestation key, which a ``certification`` leads to a root.

    ``user_data`` is 20 bytes of the quoting enclave's; ``signature`` (r ‖ s) and ``attestation_key`` (x ‖ y) are on
    P-256, 64 bytes each.
    """

    version: int
    qe_svn: int
    pce_svn: int
    user_data: bytes
    report: TdReport
    signature: bytes
    attestation_key: bytes
    certification: Certification

    @classmethod
    def parse(cls, data: bytes) -> "TdxQuote":
        """Return the quote in ``data``. Raises MalformedError for anything else, also for bytes before or after it."""
        if len(data) > _MAX_SIZE:
            raise MalformedError(f"expected a TDX quote of at most {_MAX_SIZE} bytes")
        octets = Octets(data, "the TDX quote")
        version = _version(octets)
        octets.expect(_ECDSA_P256, 2, "attestation key type")
        octets.expect(_TDX, 4, "TEE type")
        qe_svn, pce_svn = octets.integer(2), octets.integer(2)
        if octets.take(16) != _INTEL_QE:
            raise MalformedError("expected a TDX quote of Intel's quoting enclave")
        user_data = octets.take(20)
        report = TdReport.parse(octets.take(_report_size(version, octets)))
        signed = Octets(octets.take(octets.integer(4)), "the quote's signature data")
        octets.end()
        signature, attestation_key = signed.take(64), signed.take(64)
        signed.expect(_QE_REPORT_CERTIFICATION, 2, "certification data type")
        certification = Certification.parse(signed.take(signed.integer(4)))
        signed.end()
        return cls(
            version=version,
            qe_svn=qe_svn,
            pce_svn=pce_svn,
            user_data=user_data,
            report=report,
            signature=signature,
            attestation_key=attestation_key,
            certification=certification,
        )

    def to_bytes(self) -> bytes:
        """Return this quote in binary form."""
        certification = self.certification.to_bytes()
        signed = b"".join(
            (
                self.signature,
                self.attestation_key,
                _QE_REPORT_CERTIFICATION.to_bytes(2, "little"),
                len(certification).to_bytes(4, "little"),
                certification,
            )
        )
        return self.signed_bytes() + len(signed).to_bytes(4, "little") + signed

    def signed_bytes(self) -> bytes:
        """Return what the attestation key signs: header and report."""
        report = self.report.to_bytes()
        header = b"".join(
            (
                self.version.to_bytes(2, "little"),
                _ECDSA_P256.to_bytes(2, "little"),
                _TDX.to_bytes(4, "little"),
                self.qe_svn.to_bytes(2, "little"),
                self.pce_svn.to_bytes(2, "little"),
                _INTEL_QE,
                self.user_data,
            )
        )
        if self.version == 5:
            header += _REPORT_TYPE[len(report)].to_bytes(2, "little") + len(report).to_bytes(4, "little")
        return header + report


def trim(buffer: bytes) -> bytes:
    """Return the quote at the start of ``buffer``, whose rest is zeros: drivers give buffers of a fixed size.

    Raises MalformedError when the buffer is shorter than its quote, or anything but zeros follows.
    """
    octets = Octets(buffer, "the TDX quote")
    version = _version(octets)
    octets.take(46)
    octets.take(_report_size(version, octets))
    octets.take(octets.integer(4))
    padding = octets.rest()
    if any(padding):
        raise MalformedError("expected nothing but zeros after the TDX quote")
    return buffer[: len(buffer) - len(padding)]


def _version(octets: Octets) -> int:
    version = octets.integer(2)
    if version not in {4, 5}:
        raise MalformedError(f"expected a TDX quote of version 4 or 5, not {version}")
    return version


def _report_size(version: int, octets: Octets) -> int:
    if version == 4:
        return TD_REPORT_SIZE
    kind = octets.integer(2)
    if kind not in _REPORT_SIZE:
        raise MalformedError(f"expected a report of TDX 1.0 or 1.5 (type 2 or 3), not type {kind}")
    octets.expect(_REPORT_SIZE[kind], 4, "report size")
    return _REPORT_SIZE[kind]
