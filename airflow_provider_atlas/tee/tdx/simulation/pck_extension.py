"""The SGX extension of a PCK certificate (OID 1.2.840.113741.1.13.1), in DER: which platform, at which TCB level.

See: Intel SGX PCK Certificate and Certificate Revocation List Profile Specification, §1.3.5.
"""

from collections.abc import Sequence

SGX_EXTENSION = "1.2.840.113741.1.13.1"
"""The OID of the extension."""

_OID = bytes.fromhex("2a864886f84d010d01")  # the content octets of SGX_EXTENSION
_BOOLEAN, _INTEGER, _OCTETS, _OBJECT_ID, _ENUMERATED, _SEQUENCE = 0x01, 0x02, 0x04, 0x06, 0x0A, 0x30
_SCALABLE = 1
_FALSE = b"\0"


def pck_extension(*, ppid: bytes, instance: bytes, cpu_svn: Sequence[int], pce_svn: int, fmspc: bytes) -> bytes:
    """Return the extension of a platform: ``ppid`` and ``instance`` have 16 bytes, ``cpu_svn`` 16, ``fmspc`` 6."""
    components = [_entry((2, number), _integer(svn)) for number, svn in enumerate(cpu_svn, 1)]
    tcb = [*components, _entry((2, 17), _integer(pce_svn)), _entry((2, 18), _tlv(_OCTETS, bytes(cpu_svn)))]
    configuration = [_entry((7, number), _tlv(_BOOLEAN, _FALSE)) for number in (1, 2, 3)]
    return _sequence(
        _entry((1,), _tlv(_OCTETS, ppid)),
        _entry((2,), _sequence(*tcb)),
        _entry((3,), _tlv(_OCTETS, bytes(2))),
        _entry((4,), _tlv(_OCTETS, fmspc)),
        _entry((5,), _tlv(_ENUMERATED, bytes((_SCALABLE,)))),
        _entry((6,), _tlv(_OCTETS, instance)),
        _entry((7,), _sequence(*configuration)),
    )


def _entry(arcs: Sequence[int], value: bytes) -> bytes:
    return _sequence(_tlv(_OBJECT_ID, _OID + bytes(arcs)), value)


def _sequence(*items: bytes) -> bytes:
    return _tlv(_SEQUENCE, b"".join(items))


def _integer(value: int) -> bytes:
    return _tlv(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content
