"""Imports inside functions serve only a quick start, and all are in one list (`lazy_imports.toml`)."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = tomllib.loads((ROOT / "tests" / "lazy_imports.toml").read_text())
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("store", "tui")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def inside_functions(tree: ast.AST) -> Iterator[str]:
    """Return the modules that functions import."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    for alias in node.names:
                        whole = f"{node.module}.{alias.name}"
                        yield whole if whole in FILES else node.module or ""


def listed() -> list[tuple[str, str]]:
    """Read the importing modules and their lazy imports from the list."""
    return [
        (importer, module)
        for group in LIST.values()
        for importer, modules in group["imports"].items()
        for module in modules
    ]


def test_every_import_inside_a_function_is_listed_and_no_other() -> None:
    found = {(name, module) for name, path in FILES.items() for module in inside_functions(ast.parse(path.read_text()))}
    known = set(listed())
    assert not found - known, "not in tests/lazy_imports.toml: import it at the top, or say there what it saves"
    assert not known - found, "in tests/lazy_imports.toml, and not in the code any more: take it off the list"


def test_each_is_listed_once_with_the_time_it_saves() -> None:
    assert len(listed()) == len(set(listed()))
    for name, group in LIST.items():
        assert set(group) == {"why", "saves_ms", "imports"}, name
        assert group["why"].endswith(".") and group["saves_ms"] > 0
        assert list(group["imports"]) == sorted(group["imports"]), name
        assert all(modules == sorted(modules) for modules in group["imports"].values()), name


def test_no_file_has_more_than_four_hundred_lines() -> None:
    assert not {name for name, path in FILES.items() if path.read_text().count("\n") > 400}
