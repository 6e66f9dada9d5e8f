"""Strict text encodings: one value, one spelling.

Every format here is read from strangers, so nothing is coerced: what parses is exactly what would be written.
See: RFC 4648 §4 (base64), RFC 8785 (JSON Canonicalization Scheme), RFC 3339 (times).
"""

import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar, cast

import rfc8785

from airflow_provider_atlas.errors import MalformedError

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""A JSON value."""

JsonObject = Mapping[str, Json]
"""A JSON object."""

T = TypeVar("T")

_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)
_HEX = re.compile(r"(?:[0-9a-f]{2})*\Z", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z", re.ASCII)
_MAX_DEPTH = 64
_MAX_INTEGER = (1 << 53) - 1


def b64encode(data: bytes) -> str:
    """Return ``data`` in padded standard base64."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def b64decode(text: str) -> bytes:
    """Return the bytes that ``text`` spells in padded standard base64.

    Raises MalformedError for any other spelling: white space, missing padding, non-zero trailing bits.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("expected standard base64") from error
    if b64encode(data) != text:
        raise MalformedError("expected base64 in its one spelling")
    return data


def parse_decimal(text: str) -> int:
    """Return the non-negative integer below 10^19 that ``text`` spells, without sign or leading zeros.

    Raises MalformedError otherwise.
    """
    if not _DECIMAL.match(text):
        raise MalformedError("expected a decimal number without sign or leading zeros")
    return int(text)


def parse_hex(text: str, size: int) -> bytes:
    """Return the ``size`` bytes that ``text`` spells in lower-case hex. Raises MalformedError otherwise."""
    if len(text) != 2 * size or not _HEX.match(text):
        raise MalformedError(f"expected {size} bytes in lower-case hex")
    return bytes.fromhex(text)


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of ``data`` in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def format_time(moment: datetime) -> str:
    """Return an aware ``moment`` as RFC 3339 in UTC with microseconds, ``2026-01-31T12:00:00.000000Z``."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_time(text: str) -> datetime:
    """Return the moment that ``format_time`` spells as ``text``. Raises MalformedError for any other spelling."""
    if not _TIME.match(text):
        raise MalformedError("expected an RFC 3339 time in UTC with microseconds")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise MalformedError("expected a time that exists") from error
    if format_time(moment) != text:  # newer Pythons take 24:00 for the next day's 00:00
        raise MalformedError("expected a time in its one spelling")
    return moment


def canonical_json(value: Json) -> bytes:
    """Return ``value`` as canonical JSON (RFC 8785).

    Raises MalformedError for what it cannot spell: NaN, infinities, integers beyond ±(2^53-1), lone surrogates.
    """
    try:
        if _is_plain(value):
            text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            return text.encode("utf-8")
        return rfc8785.dumps(cast("Any", value))
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeEncodeError, ValueError) as error:
        raise MalformedError("expected a value that canonical JSON can spell") from error


def parse_json(data: bytes) -> Json:
    """Return the JSON value in ``data``, UTF-8 without BOM.

    Raises MalformedError for syntax errors, duplicate keys, NaN and infinities, numbers that a double cannot hold, lone
    surrogates, and nesting deeper than 64: parsers disagree about each of these, and an adversary lives in the
    disagreement. An integer beyond ±(2^53-1) is a float.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_double,
            parse_int=_integer,
        )
    except (ValueError, RecursionError) as error:
        raise MalformedError("expected JSON") from error
    _check_depth(value, 0)
    if b"\\u" in data:
        _refuse_surrogates(value)
    return cast("Json", value)


def parse_canonical_json(data: bytes) -> Json:
    """Return the value that ``data`` spells in canonical JSON (RFC 8785).

    Raises MalformedError when ``data`` is not JSON or is another spelling of it.
    """
    value = parse_json(data)
    if canonical_json(value) != data:
        raise MalformedError("expected canonical JSON (RFC 8785)")
    return value


class Fields:
    """A JSON object at the doorstep: each accessor takes one member of one type, ``end`` refuses the rest.

    Every accessor raises MalformedError that names the member, and so does a missing one.
    """

    def __init__(self, value: Json, what: str) -> None:
        if not isinstance(value, Mapping):
            raise MalformedError(f"expected {what} to be a JSON object")
        self._left = dict(value)
        self._what = what

    def _take(self, name: str) -> Json:
        if name not in self._left:
            raise MalformedError(f"expected {self._what} to have {name!r}")
        return self._left.pop(name)

    def _refuse(self, name: str, expected: str) -> NoReturn:
        raise MalformedError(f"expected {name!r} of {self._what} to be {expected}")

    def text(self, name: str) -> str:
        """Return the string ``name``."""
        value = self._take(name)
        return value if isinstance(value, str) else self._refuse(name, "a string")

    def one_of(self, name: str, *allowed: str) -> str:
        """Return the string ``name``, one of ``allowed``."""
        value = self.text(name)
        return value if value in allowed else self._refuse(name, " or ".join(map(repr, allowed)))

    def integer(self, name: str) -> int:
        """Return the integer ``name``; a boolean is not one."""
        value = self._take(name)
        return value if type(value) is int else self._refuse(name, "an integer")

    def boolean(self, name: str) -> bool:
        """Return the boolean ``name``."""
        value = self._take(name)
        return value if isinstance(value, bool) else self._refuse(name, "true or false")

    def items(self, name: str) -> Sequence[Json]:
        """Return the array ``name``."""
        value = self._take(name)
        return value if isinstance(value, list | tuple) else self._refuse(name, "an array")

    def object(self, name: str) -> JsonObject:
        """Return the object ``name``."""
        value = self._take(name)
        return value if isinstance(value, Mapping) else self._refuse(name, "an object")

    def fields(self, name: str) -> "Fields":
        """Return the object ``name``, at the doorstep itself."""
        return Fields(self._take(name), f"{name!r} of {self._what}")

    def sha256(self, name: str) -> str:
        """Return the lower-case hex SHA-256 in the in-toto digest set ``name``, which holds nothing else."""
        digests = self.fields(name)
        text = digests.text("sha256")
        digests.end()
        parse_hex(text, 32)
        return text

    def time(self, name: str) -> datetime:
        """Return the moment ``name``, spelled as ``format_time`` does."""
        return parse_time(self.text(name))

    def optional(self, name: str, take: Callable[[str], T]) -> T | None:
        """Return ``take(name)``, an accessor of this object, or None when ``name`` is null.

        It must be there: null and absent would be two spellings of one value.
        """
        if name in self._left and self._left[name] is None:
            return cast("None", self._take(name))
        return take(name)

    def has(self, name: str) -> bool:
        """Return whether a member ``name`` is there that nobody took."""
        return name in self._left

    def discard(self, name: str) -> None:
        """Leave the member ``name`` out, if it is there and whatever it holds: for the formats of others."""
        self._left.pop(name, None)

    def any(self, name: str) -> Json:
        """Return the member ``name``, of any type."""
        return self._take(name)

    def end(self) -> None:
        """Raise MalformedError when a member is left that nobody took: unknown members carry unknown meaning."""
        if self._left:
            raise MalformedError(f"{self._what} has unknown members: {', '.join(map(ascii, sorted(self._left)))[:200]}")


def _is_plain(value: Json) -> bool:
    # The standard library spells such a value as RFC 8785 does, at a tenth of the cost; what remains are numbers with
    # a fraction, which ECMAScript spells in its own way, and keys that UTF-16 sorts otherwise. A law holds them equal.
    kind = type(value)
    if kind is dict:
        for key, member in value.items():  # type: ignore[union-attr]  # by its type
            if type(key) is not str or not key.isascii():
                return False
            if type(member) is not str and not _is_plain(member):  # most are strings, and a call costs more than a look
                return False
        return True
    if kind is list or kind is tuple:
        return all(map(_is_plain, value))  # type: ignore[arg-type]  # by its type
    if kind is int:
        return -_MAX_INTEGER <= value <= _MAX_INTEGER  # type: ignore[operator]  # by its type
    return value is None or kind is str or kind is bool


def _unique_keys(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise MalformedError("expected each member of a JSON object once")
    return value


def _refuse_constant(_: str) -> NoReturn:
    raise MalformedError("expected a JSON number, not NaN or an infinity")


def _double(text: str) -> float:
    number = float(text)
    if math.isinf(number):  # 1e999 is an infinity without its name
        raise MalformedError("expected a JSON number that a double can hold")
    return number


def _integer(text: str) -> int | float:
    number = int(text)
    if -_MAX_INTEGER <= number <= _MAX_INTEGER:
        return number
    # Some parsers read this as an integer and some as the double next to it. They agree where it is that double, be it
    # exactly or as RFC 8785 spells it: in the fewest digits, filled up with zeros.
    double = _double(text)
    if int(double) != number and rfc8785.dumps(double) != text.encode("ascii"):
        raise MalformedError("expected a JSON number that a double can hold")
    return double


def _refuse_surrogates(value: Json) -> None:
    # An escaped lone surrogate is a string that UTF-8 cannot spell: it would fail far from here.
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedError("expected JSON strings that UTF-8 can spell") from error


def _check_depth(value: Json, depth: int) -> None:
    kind = type(value)  # what a parser made: its objects are dictionaries, and its arrays lists
    if kind is not dict and kind is not list:
        return
    if depth == _MAX_DEPTH:
        raise MalformedError(f"expected JSON nested at most {_MAX_DEPTH} deep")
    for member in value.values() if kind is dict else value:  # type: ignore[union-attr]  # by its type
        if type(member) is not str:
            _check_depth(member, depth + 1)
