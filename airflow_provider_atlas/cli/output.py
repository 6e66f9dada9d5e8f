"""Where a command's words go: people's to a terminal, a document to standard output."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property

from rich.console import Console

from airflow_provider_atlas.encoding import Json, JsonObject, canonical_json
from airflow_provider_atlas.report.visible import visible


class Output:
    """The two streams of one command. With ``json``, standard output is for one document alone."""

    def __init__(self, *, json: bool) -> None:
        self._json = json

    @cached_property
    def people(self) -> Console:
        """Where an answer goes that people read: standard output, or standard error when JSON goes there."""
        return _console(to_stderr=self._json)

    def say(self, *lines: str) -> None:
        """Write ``lines`` for people, safe to look at, wrapped by the terminal alone."""
        for line in lines:
            self.people.print(visible(line), soft_wrap=True)

    def remark(self, line: str) -> None:
        """Write ``line`` to standard error, whatever goes to standard output."""
        _console(to_stderr=True).print(visible(line), soft_wrap=True)

    def working(self, what: str) -> AbstractContextManager[object]:
        """Show that ``what`` is going on, as long as the ``with`` block lasts; nothing where nobody watches."""
        return self.people.status(f"{what} …")

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Yield ``progress(done, all)``, which shows on standard error how far ``what`` is; nothing unwatched."""
        from rich.progress import Progress

        console = _console(to_stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, whole: bar.update(task, completed=done, total=whole)

    def document(self, content: bytes | JsonObject) -> None:
        """Write the command's JSON document, and a newline; nothing unless ``--json`` asked for it."""
        if self._json:
            self.write((content if isinstance(content, bytes) else canonical_json(content)) + b"\n")

    def write(self, content: bytes) -> None:
        """Write ``content`` to standard output as it is."""
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()

    def facts(self, value: JsonObject) -> None:
        """Write ``value`` for people: a line for each fact, indented as it is nested, safe to look at."""
        self.say(*_lines(value, 0))


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # rich would end the process with 1, which says that something was verified and is wrong.
        raise BrokenPipeError


def _console(*, to_stderr: bool) -> Console:
    return _Console(stderr=to_stderr, highlight=False, markup=False, emoji=False)


def _lines(value: JsonObject, depth: int) -> list[str]:
    indent = "  " * depth
    width = max((len(visible(name)) for name, member in value.items() if not _nested(member)), default=0)
    lines: list[str] = []
    for name, member in value.items():
        if isinstance(member, Mapping) and member:
            lines += [f"{indent}{visible(name)}", *_lines(member, depth + 1)]
        elif _nested(member) and isinstance(member, Sequence):
            lines += [f"{indent}{visible(name)}", *_items(member, depth + 1)]
        else:
            lines.append(f"{indent}{visible(name):<{width}}  {_word(member)}")
    return lines


def _items(items: Sequence[Json], depth: int) -> list[str]:
    lines: list[str] = []
    for item in items:
        nested = _lines(item, depth + 1) if isinstance(item, Mapping) else [f"{'  ' * (depth + 1)}{_word(item)}"]
        lines += [f"{'  ' * depth}- {nested[0].lstrip()}", *nested[1:]] if nested else []
    return lines


def _nested(member: Json) -> bool:
    return isinstance(member, Mapping | list | tuple) and bool(member)


def _word(member: Json) -> str:
    match member:
        case None:
            return "-"
        case str():
            return visible(member)
        case bool():
            return "yes" if member else "no"
        case int() | float():
            return str(member)
        case _:
            return "none"
