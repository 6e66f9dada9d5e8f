"""What a page of the package looks like: told by its first words, short, and named after what it is."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "airflow_provider_atlas"
PATHS = sorted(PACKAGE.rglob("*.py"))
NAMELESS = {"util", "utils", "helper", "helpers", "common", "base", "manager", "misc"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def body_lines(function: Function) -> int:
    """Count a function's lines, less its signature and its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def parsed() -> Iterator[tuple[str, ast.Module]]:
    for path in PATHS:
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text(encoding="utf-8"))


def test_the_package_is_there():
    assert PACKAGE / "errors.py" in PATHS


def test_every_module_says_what_it_is():
    assert [name for name, tree in parsed() if not ast.get_docstring(tree)] == []


def test_a_subpackage_init_holds_its_docstring_and_nothing_else():
    # Re-exports give a thing two names, and its importers a cycle.
    inits = [(name, tree) for name, tree in parsed() if name.endswith("/__init__.py")]
    assert [name for name, tree in inits if len(tree.body) != 1] == []


def test_no_module_is_longer_than_400_lines():
    assert [path.name for path in PATHS if len(path.read_text(encoding="utf-8").splitlines()) > 400] == []


def test_no_function_body_is_longer_than_60_lines():
    long = [f"{name}:{each.name}" for name, tree in parsed() for each in functions(tree) if body_lines(each) > 60]
    assert long == []


def test_nothing_is_called_by_a_word_that_says_nothing():
    assert [str(path) for path in PATHS if {*path.relative_to(PACKAGE).with_suffix("").parts} & NAMELESS] == []


def test_imports_are_absolute():
    relative = [
        name
        for name, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]
    assert relative == []
