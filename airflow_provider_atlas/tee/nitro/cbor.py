"""CBOR at the doorstep: one item, and nothing after it; no duplicate keys, no tags, no depth.

See: RFC 8949 (CBOR).
"""

from io import BytesIO
from typing import Any

from airflow_provider_atlas.errors import MalformedError

MAX_CBOR_BYTES = 64 * 1024
"""More than the Nitro Security Module can answer with."""

_MAX_DEPTH = 8


def parse_cbor(data: bytes, what: str) -> Any:  # noqa: ANN401 - whoever asked looks at what it is
    """Return the one item in ``data``. Raises MalformedError that names ``what`` for anything else."""
    import cbor2

    if len(data) > MAX_CBOR_BYTES:
        raise MalformedError(f"expected {what} to have at most {MAX_CBOR_BYTES} bytes")
    stream = BytesIO(data)
    try:
        value = cbor2.load(stream, max_depth=_MAX_DEPTH, allow_duplicate_keys=False, strict_hashable_types=False)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise MalformedError(f"expected {what} in CBOR") from error
    if stream.read(1):
        raise MalformedError(f"expected nothing after {what}")
    return value


def to_cbor(value: object) -> bytes:
    """Return ``value`` in CBOR, with each length in its shortest form, and maps in the order that they have."""
    import cbor2

    return cbor2.dumps(value)
