"""Certificates in PEM, in its one spelling: no signature covers the text, so a second spelling would be a second file.

::

    -----BEGIN CERTIFICATE-----
    MIIE8DCCBJagAwIBAgIUK6Cv…
    -----END CERTIFICATE-----

Lines have 64 characters and end in a line feed, and nothing stands between the certificates.
See: RFC 7468 §3, "stricttextualmsg".
"""

import re

from airflow_provider_atlas.encoding import b64decode, b64encode
from airflow_provider_atlas.errors import MalformedError

_BEGIN = "-----BEGIN CERTIFICATE-----\n"
_END = "-----END CERTIFICATE-----\n"
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----", re.ASCII)


def parse_pem(data: bytes) -> tuple[bytes, ...]:
    """Return the DER of each certificate in ``data``, which is what ``to_pem`` gives for them.

    Raises MalformedError for any other spelling, so that two readers cannot see two chains.
    """
    try:
        *blocks, _ = data.decode("ascii").split(_END)
    except UnicodeDecodeError as error:
        raise MalformedError("expected certificates in PEM") from error
    certificates = tuple(b64decode(block.removeprefix(_BEGIN).replace("\n", "")) for block in blocks)
    if to_pem(*certificates) != data:
        raise MalformedError("expected certificates in PEM, in its one spelling")
    return certificates


def to_pem(*certificates: bytes) -> bytes:
    """Return the DER ``certificates`` in PEM (RFC 7468, strict), one after the other."""
    return "".join(_BEGIN + _lines(b64encode(certificate)) + _END for certificate in certificates).encode("ascii")


def read_pem(data: bytes) -> tuple[bytes, ...]:
    """Return the DER of each certificate in ``data``, in whichever spelling of PEM a host or service wrote it.

    Text between them is passed over. Raises MalformedError for what is not base64.
    """
    return tuple(b64decode(b"".join(block.split()).decode("ascii")) for block in _BLOCK.findall(data))


def _lines(text: str) -> str:
    return "".join(text[start : start + 64] + "\n" for start in range(0, len(text), 64))
