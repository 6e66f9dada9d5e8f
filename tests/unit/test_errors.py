"""The error tree: each error is where its reaction is, and the drawing is the tree."""

import re

import pytest

from airflow_provider_atlas import errors

CLASSES = {name: value for name, value in vars(errors).items() if isinstance(value, type)}


def drawn():
    """Return each class of the drawing with its parent, by how far it is indented."""
    parents, found = {}, {}
    for line in errors.__doc__.splitlines():
        match = re.match(r"    ([│ ├└─]*)(\w+Error)\b", line)
        if match:
            depth = len(match[1]) // 4
            parents[depth] = match[2]
            found[match[2]] = parents.get(depth - 1)
    return found


def test_the_drawing_is_the_tree():
    assert drawn() == {name: None if name == "AtlasError" else each.__base__.__name__ for name, each in CLASSES.items()}


def test_the_reactions_are_apart():
    reactions = [
        errors.ConfigError,
        errors.MalformedError,
        errors.MissingError,
        errors.AttestingError,
        errors.VerificationError,
    ]
    assert all(one is other or not issubclass(one, other) for one in reactions for other in reactions)
    leaves = set(CLASSES.values()) - {errors.AtlasError}
    assert all(sum(issubclass(leaf, reaction) for reaction in reactions) == 1 for leaf in leaves)


@pytest.mark.parametrize("name", CLASSES)
def test_every_error_says_what_it_is(name):
    assert CLASSES[name].__doc__
    assert not issubclass(CLASSES[name], OSError | ValueError)
