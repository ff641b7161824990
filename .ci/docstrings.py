"""Fail on every public function whose docstring does not name an error that the function itself raises.

Usage: docstrings.py FOLDER... It reads syntax trees and imports nothing. A function or method is public if no name on
its path (class, function) starts with an underscore; errors raised while an instance is made may be named in the
docstring of its class. An error counts if the function's own body has `raise Name` or `raise Name(...)` and no
surrounding `except` catches it. Errors that are caught and raised again, errors of helpers, and NotImplementedError
(meant for authors of subclasses) do not count.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
#: Methods that run while an instance is made.
_MAKING = ("__init__", "__new__", "__post_init__")
_EVERYTHING = frozenset({"Exception", "BaseException"})


def functions(tree: ast.Module) -> Iterator[tuple[str, Function, str]]:
    """Yield each public function: its dotted name, its node, and the docstrings that may name its errors."""
    todo: list[tuple[str, ast.Module | ast.ClassDef | ast.If | ast.Try]] = [("", tree)]
    for prefix, parent in todo:
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.If | ast.Try):
                todo.append((prefix, node))
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                todo.append((f"{prefix}{node.name}.", node))
            elif isinstance(node, Function):
                said = ast.get_docstring(node) or ""
                if isinstance(parent, ast.ClassDef) and node.name in _MAKING:
                    yield f"{prefix}{node.name}", node, said + (ast.get_docstring(parent) or "")
                elif not node.name.startswith("_"):
                    yield f"{prefix}{node.name}", node, said


def raised(node: ast.AST, caught: frozenset[str] = frozenset()) -> Iterator[tuple[str, frozenset[str]]]:
    """List the errors that a function's own body raises, each with the names caught around it."""
    guarded = []
    if isinstance(node, ast.Try | ast.TryStar):
        guarded = node.body
        for each in guarded:
            yield from raised(each, caught.union(*map(_names, node.handlers)))
    if isinstance(node, ast.Raise) and (name := _error(node.exc)):
        yield name, caught
    for child in ast.iter_child_nodes(node):
        if child not in guarded and not isinstance(child, Function | ast.Lambda | ast.ClassDef):
            yield from raised(child, caught)


def _error(expression: ast.expr | None) -> str:
    """Return the class that a `raise` names; "" for a variable and for a bare `raise`."""
    name = _name(expression.func if isinstance(expression, ast.Call) else expression)
    return name if name[:1].isupper() else ""


def _name(node: ast.expr | None) -> str:
    """Return the last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _names(handler: ast.ExceptHandler) -> frozenset[str]:
    """List what an `except` catches."""
    if handler.type is None:
        return _EVERYTHING
    return frozenset(map(_name, handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]))


def classes(tree: ast.Module) -> dict[str, list[str]]:
    """Map the classes of a file to their bases."""
    return {
        node.name: [_name(base) for base in node.bases] for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }


def kinds(error: str, bases: Mapping[str, list[str]]) -> set[str]:
    """List the names that catch an error: its own, and those of its known bases."""
    found = {error, *_EVERYTHING}
    todo = [error]
    for each in todo:
        todo += [base for base in bases.get(each, []) if base not in found]
        found.update(todo)
    return found


def unsaid(trees: Mapping[Path, ast.Module]) -> Iterator[str]:
    """Yield a line for each error that a public function raises and does not name."""
    bases = {name: above for tree in trees.values() for name, above in classes(tree).items()}
    for path, tree in trees.items():
        for name, node, said in functions(tree):
            let_out = {error for error, caught in raised(node) if not caught & kinds(error, bases)}
            for error in sorted(let_out - {"NotImplementedError"}):
                if not re.search(rf"\b{error}\b", said):
                    yield f"{path}:{node.lineno}: {name} raises {error}, which its docstring does not name"


def main(folders: list[str]) -> int:
    """Print each unnamed error; return 1 if there is any, or nothing to read."""
    paths = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    lines = list(unsaid({path: ast.parse(path.read_text("utf-8")) for path in paths}))
    for line in lines:
        print(line)
    return 1 if lines or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
