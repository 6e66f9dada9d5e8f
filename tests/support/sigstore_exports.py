"""What is done to exported Sigstore bundles, to see it refused: one byte of one member is changed at a time."""

import copy
from collections.abc import Iterator
from typing import Any

Place = tuple[str | int, ...]


def places(value: Any, path: Place = ()) -> Iterator[Place]:
    """Yield the path of every string in ``value``."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for name, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(member, (*path, name))


def changed(document: Any, path: Place, at: int | None = None) -> Any:
    """Return ``document`` with one byte of the string at ``path`` changed: of what it spells, where it is base64.

    ``at`` is the place of the letter, or None for the middle.
    """
    document = copy.deepcopy(document)
    holder = document
    for name in path[:-1]:
        holder = holder[name]
    text = holder[path[-1]]
    at = len(text) // 2 if at is None else at % len(text)
    other = next(letter for letter in "1A" if letter != text[at])
    holder[path[-1]] = text[:at] + other + text[at + 1 :]
    return document
