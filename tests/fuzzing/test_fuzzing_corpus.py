"""What fuzzing found, and what it was begun with, is read by each parser as it must be, for ever."""

from collections.abc import Iterator

import pytest

from tests.fuzzing.seeds import seeds
from tests.fuzzing.targets import CORPUS, TARGETS


def kept() -> Iterator[object]:
    for path in sorted(CORPUS.glob("*/*")):
        yield pytest.param(path.parent.name, path.read_bytes(), id=f"{path.parent.name}-{path.name}")


@pytest.mark.parametrize(("name", "data"), list(kept()))
def test_an_input_is_read_and_written_as_it_was_or_is_malformed(name: str, data: bytes):
    TARGETS[name].check(data)


@pytest.mark.parametrize(("name", "data"), [(name, data) for name, found in seeds().items() for data in sorted(found)])
def test_an_instance_is_read(name: str, data: bytes):
    TARGETS[name].parse(data)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("data", [b"", b"\0", b"{}", b"[]", b"\xff" * 99, b"\n\n", b'{"a":1}'])
def test_what_is_nothing_is_malformed(name: str, data: bytes):
    TARGETS[name].check(data)


def test_every_corpus_is_of_a_parser():
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGETS)
