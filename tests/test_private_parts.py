"""Only one file per library uses what Textual, Rich and Peewee do not guarantee."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: The library, and the only file that may use its private parts.
KEEPERS = {
    "textual": "tui/console/textual_private.py",
    "rich": "tui/terminal/rich_private.py",
    "peewee": "store/database/orm.py",
}
#: Modules and names without an underscore that are in no reference either.
UNDOCUMENTED = {"textual.drivers", "rich.cells.load_cell_table"}
#: Named tuples have public methods with an underscore, and so have those of the libraries.
PUBLIC = {"_replace", "_asdict", "_make", "_fields"}
pytestmark = pytest.mark.xdist_group("private parts")  # read the libraries only once
SOURCES = [path for room in ("store", "tui") for path in sorted((ROOT / room).rglob("*.py"))]


def is_private(name: str) -> bool:
    return name.startswith("_") and name.strip("_") != "" and not name.startswith("__") and name not in PUBLIC


def classes(tree: ast.AST) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def own_names(tree: ast.AST) -> set[str]:
    """Return the private names that are assigned or defined inside `tree`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            set_there = [each for each in node.body if isinstance(each, ast.Assign | ast.AnnAssign)]
            targets = [name for each in set_there for name in ast.walk(each) if isinstance(name, ast.Name)]
            names.update(name.id for name in targets if isinstance(name.ctx, ast.Store))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
    return {name for name in names if is_private(name)}


@cache
def names_of(library_class: type) -> set[str]:
    """Return the private names of a class of a library, including those that its methods assign."""
    try:
        found = own_names(ast.parse(textwrap.dedent(inspect.getsource(library_class))))
    except (OSError, TypeError):  # not written in Python
        found = set()
    return found | {name for name in vars(library_class) if is_private(name)}


def inherited(ours: type) -> set[str]:
    """Return the private names that a class of Mailhold inherits from the libraries."""
    theirs = [base for base in ours.__mro__ if base.__module__.partition(".")[0] in KEEPERS]
    return set().union(*map(names_of, theirs))


@cache
def private_names() -> set[str]:
    """Return all private names of all classes of the libraries."""
    names: set[str] = set()
    for library in KEEPERS:
        spec = importlib.util.find_spec(library)
        assert spec is not None and spec.origin is not None
        origin = Path(spec.origin)
        for path in origin.parent.rglob("*.py") if origin.name == "__init__.py" else [origin]:
            for node in classes(ast.parse(path.read_text())):
                names |= own_names(node)
    return names


def touched(source: str, module: Mapping[str, Any], keeps: str | None = None) -> list[str]:
    """Return the private parts that `module` uses, except those of the library that it `keeps`."""
    tree = ast.parse(source)
    others = {library for library in KEEPERS if library != keeps}
    theirs = set() if keeps else private_names() - own_names(tree)
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    elsewhere = {"self", *(name for name in modules if name not in KEEPERS)}
    found: list[str] = []
    for node in ast.walk(tree):
        imported: list[str] = []
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in imported:
            parts = name.split(".")
            undocumented = any(f"{name}.".startswith(f"{each}.") for each in UNDOCUMENTED)
            if parts[0] in others and (undocumented or any(map(is_private, parts))):
                found.append(f"line {node.lineno}: imports {name}")
        if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id in elsewhere):
            assigned = isinstance(node.ctx, ast.Store) and ast.unparse(node).split(".")[0] in others
            if assigned or (is_private(node.attr) and node.attr in theirs):
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "setattr", "hasattr", "delattr"):
            named = node.args[1]
            if isinstance(named, ast.Constant) and is_private(str(named.value)) and named.value in theirs:
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
    for node in classes(tree):
        made = module.get(node.name)
        if keeps is None and isinstance(made, type):
            uses = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)} | own_names(node)
            found += [f"line {node.lineno}: {node.name} has {name}" for name in sorted(uses & inherited(made))]
    return found


def test_only_the_keepers_touch_private_parts() -> None:
    keepers = {keeper: library for library, keeper in KEEPERS.items()}
    found: dict[str, list[str]] = {}
    for path in SOURCES:
        name = path.relative_to(ROOT)
        module = ".".join(name.with_suffix("").parts).removesuffix(".__init__")
        content = {} if name.stem == "__main__" else vars(importlib.import_module(module))
        found[str(name)] = touched(path.read_text(), content, keepers.get(str(name)))
    assert {name: lines for name, lines in found.items() if lines} == {}


def made(source: str) -> dict[str, Any]:
    """Return the module that `source` makes."""
    content: dict[str, Any] = {}
    if "class" in source:
        exec(source, content)
    return content


@pytest.mark.parametrize(
    "source",
    [
        "from textual._compositor import Compositor",
        "from textual import _compositor",
        "import rich._unicode_data",
        "from textual.drivers.linux_driver import LinuxDriver",
        "from textual.drivers import linux_driver",
        "from rich.cells import load_cell_table",
        "import rich.cells\nrich.cells.anything = 1",
        "def f(app): return app._driver.write('')",
        "def f(app): return getattr(app, '_driver')",
        "def f(db): db._state.reset()",
        "from textual.widget import Widget\nclass A(Widget):\n    def f(self): self._vertical_scrollbar = 1",
        "from tui.console.app import MailholdApp\nclass A(MailholdApp):\n    def _fatal_error(self): ...",
        "from store.database.orm import SqliteDatabase\nclass A(SqliteDatabase):\n    def _connect(self): ...",
    ],
)
def test_each_way_to_touch_them_is_seen(source: str) -> None:
    assert touched(source, made(source))


@pytest.mark.parametrize(
    "source",
    [
        "from textual.widget import Widget",
        "import rich.cells",
        "def f(row): return row._replace(a=1)",
        "class A:\n    def __init__(self): self._driver = 1\n    def f(self, other): return other._driver",
        "import os\nos._exit(0)",
    ],
)
def test_what_is_public_or_our_own_passes(source: str) -> None:
    assert not touched(source, made(source))
