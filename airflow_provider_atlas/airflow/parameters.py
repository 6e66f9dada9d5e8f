"""What a task was told: its rendered fields, its params and its run's conf, each committed to with a salt of its own.

The link holds the commitments alone. The openings, salts and redacted values, lie beside it in a private file, for
whoever is to check one value without seeing the others.
"""

import math
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from pathlib import PurePath
from uuid import UUID

from airflow_provider_atlas.airflow.task_run import Context, Operator
from airflow_provider_atlas.attest.execution import commitment
from airflow_provider_atlas.encoding import Json, canonical_json, sha256_hex

MAX_VALUE = 64 * 1024
"""The largest value that is opened as it is, in bytes of canonical JSON. Of a larger one the digest is."""

SALT_SIZE = 16
"""The size of a salt, in bytes."""

_CUT = "…"
_DEEPEST = 32
_MOST = 20_000
_LONGEST_TEXT = 1 << 20
_LARGEST_INTEGER = 2**53 - 1
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The commitments (field → SHA-256 in hex) and, in canonical JSON, what opens them."""

    commitments: Mapping[str, str]
    openings: bytes


def parameters_of(operator: Operator, context: Context, conf: object) -> Parameters:
    """Return the parameters of a task that is about to run with ``context`` and its run's ``conf``."""
    salted = {
        name: (secrets.token_bytes(SALT_SIZE), redacted(name, value)) for name, value in _told(operator, context, conf)
    }
    return Parameters(
        commitments={name: commitment(value, salt) for name, (salt, value) in salted.items()},
        openings=canonical_json({name: {"salt": salt.hex(), "value": value} for name, (salt, value) in salted.items()}),
    )


def redacted(name: str, value: object) -> Json:
    """Return ``value`` of the field ``name`` as JSON, with what Airflow knows to be secret replaced by ``***``."""
    from airflow.sdk.log import redact  # type: ignore[attr-defined]  # documented, and not in its __all__

    try:
        # Made plain first, since Airflow's masker passes over objects and bytes; and to the bottom, since it looks
        # for secret values no deeper than five unless it is told to.
        plain = redact(_Plain().of(value), name=name, max_depth=_DEEPEST + 2)
    except Exception:  # noqa: BLE001 - an author's object may raise anything when it is looked at
        return f"<{type(value).__module__}.{type(value).__qualname__} that cannot be read>"
    size = len(spelled := canonical_json(plain))
    return plain if size <= MAX_VALUE else {"sha256": sha256_hex(spelled), "size": size}


def _told(operator: Operator, context: Context, conf: object) -> Iterator[tuple[str, object]]:
    for name in operator.template_fields:
        value = getattr(operator, name, None)
        # The operator inside an AtlasOperator has fields of its own.
        fields = getattr(value, "template_fields", None)
        yield name, {field: getattr(value, field, None) for field in fields} if fields is not None else value
    params = context.get("params")
    if params:
        yield "params", dict(params) if isinstance(params, Mapping) else params
    if conf:
        yield "dag_run.conf", conf


class _Plain:
    """Turns a value into JSON that canonical JSON can spell. Bounded: an author's value may be huge, or hold itself."""

    def __init__(self) -> None:
        self._left = _MOST

    def of(self, value: object, depth: int = 0) -> Json:
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST:
            return _CUT
        if isinstance(value, Mapping):
            return self._object(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return self._array(value, depth)
        return _scalar(value)

    def _object(self, value: Mapping[object, object], depth: int) -> Json:
        from airflow.sdk.log import redact  # type: ignore[attr-defined]  # as above

        # The masker looks at values alone.
        return {
            _text(str(redact(str(key)))): self.of(item, depth + 1)
            for key, item in islice(value.items(), max(self._left, 0))
        }

    def _array(self, value: Collection[object], depth: int) -> Json:
        items = [self.of(item, depth + 1) for item in islice(value, max(self._left, 0))]
        return items if isinstance(value, list | tuple) else sorted(items, key=canonical_json)


def _scalar(value: object) -> Json:
    plain = value.value if isinstance(value, Enum) else value
    if plain is None or isinstance(plain, bool):
        return plain
    if isinstance(plain, int):
        return int(plain) if abs(plain) <= _LARGEST_INTEGER else str(plain)
    if isinstance(plain, float):
        return float(plain) if math.isfinite(plain) else str(plain)
    return _text(plain if isinstance(plain, str) else _spelled(plain))


def _spelled(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta | PurePath | UUID | Decimal):
        return str(value)
    return _name_of(value)


def _name_of(value: object) -> str:
    # Never its repr: that of a table is its rows, that of a connection its password.
    uri = getattr(value, "uri", None)
    if isinstance(uri, str):
        return uri
    if hasattr(value, "protocol") and hasattr(value, "path"):
        return str(value)
    kind = value if isinstance(value, type) or callable(value) else type(value)
    name = getattr(kind, "__qualname__", type(value).__qualname__)
    return f"<{getattr(kind, '__module__', None)}.{name}>"


def _text(value: str) -> str:
    value = value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + _CUT
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
