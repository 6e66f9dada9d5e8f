"""Many files, one digest: the manifest of a directory.

As canonical JSON (RFC 8785), on one line::

    {"entries":[{"path":"model/weights.bin","sha256":"9f86…","size":4096}],"v":1}

Entries are sorted by the UTF-8 bytes of their paths, so the same files give the same bytes on every machine. Names,
contents and nesting count; times, owners, permissions and directories without files do not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from airflow_provider_atlas.encoding import Fields, Json, canonical_json, parse_canonical_json, parse_hex, sha256_hex
from airflow_provider_atlas.errors import MalformedError

MAX_ENTRIES = 200_000
"""The largest number of files in one manifest."""

MAX_SIZE = 64 * 1024 * 1024
"""The largest manifest that is read, in bytes."""

_VERSION = 1
_LARGEST_FILE = 2**53 - 1
_LONGEST_PATH = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEntry:
    """One file: its ``path`` below the directory, the ``sha256`` of its bytes in lower-case hex, its ``size`` in bytes.

    Raises MalformedError when it is made of anything else.
    """

    path: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        _check_path(self.path)
        parse_hex(self.sha256, 32)
        if not 0 <= self.size <= _LARGEST_FILE:
            raise MalformedError("expected the size of a file in a manifest to be from 0 to 2^53-1")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The files of one directory, sorted by path. ``of`` sorts them.

    Raises MalformedError when they are not sorted, when one is there twice, or when one lies below another.
    """

    entries: tuple[ManifestEntry, ...]

    def __post_init__(self) -> None:
        if len(self.entries) > MAX_ENTRIES:
            raise MalformedError(f"expected a manifest of at most {MAX_ENTRIES} files")
        paths = [_sort_key(entry) for entry in self.entries]
        if any(path >= following for path, following in pairwise(paths)):
            raise MalformedError("expected the entries of a manifest to be sorted by path, each once")
        _check_disjoint(paths)

    @classmethod
    def of(cls, entries: Iterable[ManifestEntry]) -> "Manifest":
        """Return the manifest of ``entries``, in any order. Raises MalformedError as the constructor does."""
        return cls(entries=tuple(sorted(entries, key=_sort_key)))

    @classmethod
    def parse(cls, data: bytes) -> "Manifest":
        """Return the manifest that ``to_bytes`` spells as ``data``. Raises MalformedError for anything else."""
        if len(data) > MAX_SIZE:
            raise MalformedError(f"expected a manifest of at most {MAX_SIZE} bytes")
        fields = Fields(parse_canonical_json(data), "the manifest")
        if fields.integer("v") != _VERSION:
            raise MalformedError(f"expected a manifest of version {_VERSION}")
        entries = tuple(map(_parse_entry, fields.items("entries")))
        fields.end()
        return cls(entries=entries)

    def to_bytes(self) -> bytes:
        """Return this manifest in its one spelling. Raises MalformedError when that is larger than ``MAX_SIZE``."""
        entries: list[Json] = [
            {"path": entry.path, "sha256": entry.sha256, "size": entry.size} for entry in self.entries
        ]
        data = canonical_json({"v": _VERSION, "entries": entries})
        if len(data) > MAX_SIZE:
            raise MalformedError(f"expected a manifest of at most {MAX_SIZE} bytes")
        return data

    @cached_property
    def sha256(self) -> str:
        """The digest of the directory: the SHA-256 of ``to_bytes()`` in lower-case hex."""
        return sha256_hex(self.to_bytes())

    @property
    def size(self) -> int:
        """The bytes in all files together."""
        return sum(entry.size for entry in self.entries)


def _parse_entry(value: Json) -> ManifestEntry:
    fields = Fields(value, "an entry of the manifest")
    entry = ManifestEntry(path=fields.text("path"), sha256=fields.text("sha256"), size=fields.integer("size"))
    fields.end()
    return entry


def _sort_key(entry: ManifestEntry) -> bytes:
    return entry.path.encode("utf-8")


def _check_path(path: str) -> None:
    try:
        length = len(path.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise MalformedError("expected a path in a manifest to be UTF-8") from error
    if length > _LONGEST_PATH or "\0" in path:
        raise MalformedError(f"expected a path in a manifest of at most {_LONGEST_PATH} bytes, none of them zero")
    # An absolute path, a doubled slash and a trailing one all show as an empty name.
    if any(name in {"", ".", ".."} for name in path.split("/")):
        raise MalformedError("expected a path in a manifest to be relative, without empty names, '.' and '..'")


def _check_disjoint(paths: list[bytes]) -> None:
    files = set(paths)
    for path in paths:
        end = path.rfind(b"/")
        while end > 0:
            if path[:end] in files:
                raise MalformedError("expected no path in a manifest to be both a file and a directory")
            end = path.rfind(b"/", 0, end)
