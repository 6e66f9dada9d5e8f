"""Names of artifacts: URIs, with one spelling for each file.

``/data/a b.csv``, ``file:/data/a%20b.csv`` and ``file://localhost/data/./a%20b.csv`` all become
``file:///data/a%20b.csv``, as ``pathlib.Path.as_uri`` spells it: percent-encoded but for unreserved characters.
URIs of other schemes stay as they are, but for the case of the scheme: what else is one object, only their store knows.

See: RFC 3986 (URIs), RFC 8089 (the file scheme).
"""

import re

from airflow_provider_atlas.errors import ConfigError, MalformedError

_LONGEST = 16_384
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SPELLING = {byte: chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256)}
# A scheme has two letters or more here, so that C:/data is not a URI.
_URI = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]+):(?P<rest>(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)\Z"
)
# Two slashes begin a host, which is nobody or this one.
_FILE = re.compile(r"(?://(?i:localhost)?(?=/)|(?!//))(?P<path>/[^?#]*)\Z")
_PASSWORD = re.compile(r"//[^/?#]*:[^/?#]*@")


def artifact_uri(value: str) -> str:
    """Return the URI of the artifact that ``value`` names: an absolute path, or a URI.

    Raises ConfigError for a relative path (it would name another file in another worker), a file on another host, a
    path with ``..`` (where it leads depends on symbolic links), a URI with a password, and a URI that is not spelled
    as RFC 3986 demands.
    """
    if len(value) > _LONGEST:
        raise ConfigError(f"expected the name of an artifact to have at most {_LONGEST} characters")
    if value.startswith("/"):
        return _file_uri(_path_bytes(value))
    match = _URI.match(value)
    if match is None:
        raise ConfigError(
            f"expected an absolute path, or a URI that percent-encodes what RFC 3986 reserves, not {value[:200]!r}"
        )
    scheme, rest = match["scheme"].lower(), match["rest"]
    if _PASSWORD.match(rest):
        raise ConfigError(f"expected a {scheme} URI without a password: name a connection instead")
    return _file_uri(_named_bytes(rest)) if scheme == "file" else f"{scheme}:{rest}"


def file_path(uri: str) -> str:
    """Return the absolute path of the file that ``uri`` names, undecodable bytes as surrogates (PEP 383).

    Raises MalformedError unless ``uri`` is a file URI as ``artifact_uri`` gives it.
    """
    try:
        canonical = artifact_uri(uri) == uri and uri.startswith("file:")
    except ConfigError as error:
        raise MalformedError(f"expected a file URI: {error}") from error
    if not canonical:
        raise MalformedError("expected a file URI in its one spelling, such as file:///data/table.csv")
    return _decoded(uri.removeprefix("file://")).decode("utf-8", "surrogateescape")


def _path_bytes(path: str) -> bytes:
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ConfigError("expected a path that can be encoded in UTF-8") from error


def _named_bytes(rest: str) -> bytes:
    match = _FILE.match(rest)
    if match is None:
        raise ConfigError(f"expected a file URI with an absolute path on this host, not {'file:' + rest[:200]!r}")
    if "%2f" in rest.lower():
        raise ConfigError("expected a file URI without an encoded slash, which no file name can have")
    return _decoded(match["path"])


def _file_uri(path: bytes) -> str:
    # No name but these two changes what a path leads to when it is left out, and no link is asked.
    segments = [segment for segment in path.split(b"/") if segment not in (b"", b".")]
    if b".." in segments:
        raise ConfigError("expected a path without '..', since where that leads depends on symbolic links")
    if b"\0" in path:
        raise ConfigError("expected a path without a zero byte")
    return "file:///" + "/".join("".join(_SPELLING[byte] for byte in segment) for segment in segments)


def _decoded(text: str) -> bytes:
    first, *others = text.encode("ascii").split(b"%")
    return first + b"".join(bytes.fromhex(other[:2].decode("ascii")) + other[2:] for other in others)
