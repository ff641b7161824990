"""Rules of the repository: permitted imports, and content that no committed file may have."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def module_name(path: Path) -> str:
    """Convert a path to a module name: `store/vault/vault.py` is `store.vault.vault`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


STORE_MODULES = {module_name(path): path for path in sorted((ROOT / "store").rglob("*.py"))}

#: Modules that take a tenth of a second or so to load: commands that do not need them must not load them.
HEAVY = (
    "polars",
    "textual",
    "rich",
    "selectolax",
    "charset_normalizer",
    "aiosmtplib",
    "aiosmtpd",
    "psycopg",
)


def loaded_by(*statements: str) -> set[str]:
    """Return the top-level names of the modules that a fresh interpreter has loaded after `statements`."""
    code = "\n".join([*statements, "import sys", "print(*sorted({name.partition('.')[0] for name in sys.modules}))"])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT, check=True
    )
    return set(done.stdout.split())


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported_names(path: Path) -> set[str]:
    """Return the top-level names of all modules that `path` imports, anywhere in the file."""
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def offenders(found: Callable[[Path], Collection[str]]) -> dict[str, Collection[str]]:
    """Return the files of the store in which something is found, and what."""
    looked = {str(path.relative_to(ROOT)): found(path) for path in STORE_MODULES.values()}
    assert len(looked) > 100
    return {name: what for name, what in looked.items() if what}


def test_store_never_imports_the_screens() -> None:
    assert not offenders(lambda path: imported_names(path) & {"tui", "textual", "rich"})


def test_peewee_is_imported_in_one_place() -> None:
    """The place of its first import decides whether it loads the PostgreSQL driver."""
    assert list(offenders(lambda path: imported_names(path) & {"peewee"})) == ["store/database/orm.py"]


def decoders(path: Path) -> list[str]:
    """List the calls that make a decoder, by name or inside a function."""
    calls = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
    return [
        ast.unparse(call)
        for call in calls
        if ast.unparse(call.func).endswith(".Decoder")
        or (ast.unparse(call.func).endswith("decode") and any(keyword.arg == "type" for keyword in call.keywords))
    ]


def test_decoders_of_types_are_made_in_one_place() -> None:
    """Decoders made in two threads at once crash the process (`store/helpers/decoding.py`)."""
    assert not offenders(decoders)


#: What opens an address in a browser, which would run where the console runs: on the server. Textual's Link and
#: Markdown do so when clicked.
BROWSERS = frozenset({"webbrowser", "open_url", "Link", "LinkClicked", "Markdown", "MarkdownViewer"})


def names_in(source: ast.AST) -> set[str]:
    """Return all names and attributes that a module uses or imports."""
    found: set[str] = set()
    for node in ast.walk(source):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                found.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                found.update(part for alias in aliases for part in alias.name.split("."))
    return found


def test_nothing_opens_an_address_in_a_browser() -> None:
    assert not offenders(lambda path: imported_names(path) & {"webbrowser"})
    screens = sorted((ROOT / "tui").rglob("*.py"))
    assert len(screens) > 200
    found = {str(path.relative_to(ROOT)): names_in(parsed(path)) & BROWSERS for path in screens}
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize("line", ["import webbrowser", "from textual.widgets import Link", "self.app.open_url(x)"])
def test_what_would_open_one_is_found(line: str) -> None:
    assert names_in(ast.parse(line)) & BROWSERS


def test_importing_all_of_store_loads_no_screen() -> None:
    loaded = loaded_by(*(f"import {name}" for name in STORE_MODULES))
    assert not loaded & {"tui", "textual", "rich"}


@pytest.mark.parametrize(
    "module",
    [
        "store.vault.vault",
        "store.opening.opening",
        "store.catalogue.catalogue",
        "store.authority.settings",
        "tui.commands.cli",
        "store.judging.engines.rspamd",
    ],
)
def test_heavy_modules_are_imported_where_they_are_used(module: str) -> None:
    assert not loaded_by(f"import {module}") & set(HEAVY)


def test_the_command_line_starts_without_cryptography() -> None:
    """`--help` and usage errors answer at once: modules for opening a store are not loaded for them."""
    loaded = loaded_by("import tui.commands.parser", "tui.commands.parser.build_parser()")
    assert not loaded & {*HEAVY, "cryptography", "peewee", "backports", "compression"}


def test_no_module_of_a_command_is_loaded_where_none_is_named() -> None:
    assert "msgspec" not in loaded_by("import tui.commands.parser", "tui.commands.parser.parse(['--version'])")


def test_files_that_are_no_code_come_with_a_wheel() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = setuptools["package-data"]["*"]
    others = [
        path for path in tracked_files() if path.parts[len(ROOT.parts)] in ("store", "tui") and path.suffix != ".py"
    ]
    assert others
    for path in others:
        assert any(path.match(pattern) for pattern in patterns) and (path.parent / "__init__.py").is_file(), path


def tracked_files() -> list[Path]:
    """Return the files that git tracks; skip outside of a checkout."""
    done = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)
    if done.returncode:
        pytest.skip("not a git checkout, so there is no list of committed files to look through")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_committed_file_names_a_registry_or_a_maker() -> None:
    # Spelled in parts, so that this file itself passes.
    forbidden = [
        "pypi" + r"\.org",
        "python" + "hosted",
        "npm" + "js",
        "deb" + r"\.debian",
        "kasper" + "sky",
        "index-" + "url",
    ]
    pattern = re.compile("|".join(forbidden), re.IGNORECASE)
    found = []
    for path in tracked_files():
        if pattern.search(path.read_bytes().decode("utf-8", "replace")):
            found.append(str(path.relative_to(ROOT)))
    assert not found


def test_pinned_versions_hold_names_and_versions_only() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line


def test_the_top_level_holds_what_people_expect() -> None:
    expected = {"tui", "store", "tests", "screenshots", "pyproject.toml", "README.md", "Makefile", "CHANGELOG.md"}
    expected |= {
        "LICENSE",
        "SECURITY.md",
        "CONTRIBUTING.md",
        "docs",
        "packaging",
        ".ci",
        ".gitignore",
        "constraints.txt",
    }
    top = {path.relative_to(ROOT).parts[0] for path in tracked_files()}
    assert top <= expected
