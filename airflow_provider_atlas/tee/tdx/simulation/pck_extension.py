"""The SGX extension of a PCK certificate (OID 1.2.840.113741.1.13.1), in DER: which platform, at which TCB level.

See: Intel SGX PCK Certificate and Certificate Revocation List Profile Specification, §1.3.5.
"""

from collections.abc import Sequence

from airflow_provider_atlas.tee.der import OCTET_STRING, SEQUENCE, tlv, to_unsigned

SGX_EXTENSION = "1.2.840.113741.1.13.1"
"""The OID of the extension."""

_OID = bytes.fromhex("2a864886f84d010d01")  # the content octets of SGX_EXTENSION
_BOOLEAN, _OBJECT_ID, _ENUMERATED = 0x01, 0x06, 0x0A
_SCALABLE = 1
_FALSE = b"\0"


def pck_extension(*, ppid: bytes, instance: bytes, cpu_svn: Sequence[int], pce_svn: int, fmspc: bytes) -> bytes:
    """Return the extension of a platform: ``ppid`` and ``instance`` have 16 bytes, ``cpu_svn`` 16, ``fmspc`` 6."""
    components = [_entry((2, number), to_unsigned(svn)) for number, svn in enumerate(cpu_svn, 1)]
    tcb = [*components, _entry((2, 17), to_unsigned(pce_svn)), _entry((2, 18), tlv(OCTET_STRING, bytes(cpu_svn)))]
    configuration = [_entry((7, number), tlv(_BOOLEAN, _FALSE)) for number in (1, 2, 3)]
    return _sequence(
        _entry((1,), tlv(OCTET_STRING, ppid)),
        _entry((2,), _sequence(*tcb)),
        _entry((3,), tlv(OCTET_STRING, bytes(2))),
        _entry((4,), tlv(OCTET_STRING, fmspc)),
        _entry((5,), tlv(_ENUMERATED, bytes((_SCALABLE,)))),
        _entry((6,), tlv(OCTET_STRING, instance)),
        _entry((7,), _sequence(*configuration)),
    )


def _entry(arcs: Sequence[int], value: bytes) -> bytes:
    return _sequence(tlv(_OBJECT_ID, _OID + bytes(arcs)), value)


def _sequence(*items: bytes) -> bytes:
    return tlv(SEQUENCE, b"".join(items))
