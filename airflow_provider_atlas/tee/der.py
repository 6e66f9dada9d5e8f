"""The few DER values that vendors put into certificates, read and written strictly: one value, one spelling.

See: ITU-T X.690 §10 (distinguished encoding rules).
"""

from airflow_provider_atlas.errors import MalformedError

INTEGER, BIT_STRING, OCTET_STRING, IA5_STRING, SEQUENCE = 0x02, 0x03, 0x04, 0x16, 0x30
"""Tags of universal types."""


def tlv(tag: int, content: bytes) -> bytes:
    """Return ``content`` under ``tag``."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def take(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return the content of the value that ``data`` begins with, which must be under ``tag``, and what follows it.

    Raises MalformedError for another tag, for a length in another spelling than ``tlv`` gives, and for too few bytes.
    """
    if data[:1] != bytes((tag,)) or len(data) < 2:
        raise MalformedError(f"expected a DER value with the tag {tag:#04x}")
    octets = data[1] & 0x7F if data[1] & 0x80 else 0
    start = 2 + octets
    size = int.from_bytes(data[2:start], "big") if octets else data[1]
    content, rest = data[start : start + size], data[start + size :]
    if octets > 4 or tlv(tag, content) + rest != data:
        raise MalformedError("expected a DER length in its one spelling, and as many bytes")
    return content, rest


def whole(data: bytes, tag: int) -> bytes:
    """Return the content of ``data``, one value under ``tag``. Raises MalformedError also when anything follows it."""
    content, rest = take(data, tag)
    if rest:
        raise MalformedError("expected nothing after a DER value")
    return content


def unsigned(data: bytes) -> int:
    """Return the non-negative INTEGER that ``data`` is. Raises MalformedError for anything else."""
    content = whole(data, INTEGER)
    value = int.from_bytes(content, "big")
    if content != to_unsigned(value)[2:]:
        raise MalformedError("expected a non-negative DER integer in its one spelling")
    return value


def to_unsigned(value: int) -> bytes:
    """Return ``value``, which is not negative, as an INTEGER."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))
