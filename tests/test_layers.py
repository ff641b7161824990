"""The layers (`[tool.importlinter]` in pyproject.toml): each rule fails when one line breaks it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]


class Breach(NamedTuple):
    """A line added to the end of a file, and the report's text for the broken rule."""

    path: str
    line: str
    contract: str
    said: str


BREACHES = {
    "a store that knows the screens": Breach(
        "store/terms/sizes.py", "import tui.terminal.safe", "screens", "store.terms.sizes -> tui.terminal.safe"
    ),
    "an import that runs up": Breach(
        "store/vault/session.py",
        "from store.authority.settings import Settings",
        "store",
        "store.vault.session -> store.authority.settings",
    ),
    "one inside a function": Breach(
        "store/authority/settings.py",
        "def shrink():\n    from store.space.rotation import shrink",
        "store",
        "store.authority.settings -> store.space.rotation",
    ),
    "one for types alone": Breach(
        "store/vault/writer.py",
        "if TYPE_CHECKING:\n    from store.opening.opening import Unlock",
        "store",
        "store.vault.writer -> store.opening.opening",
    ),
    "a room that knows the one beside it": Breach(
        "store/files/saving.py",
        "from store.delivery.queue import release",
        "store",
        "store.files.saving -> store.delivery.queue",
    ),
    "a file that lies loose in store": Breach("store/helpful.py", "import os", "store", "store.helpful"),
    "a file that lies loose in tui": Breach("tui/helpful.py", "import os", "tui", "tui.helpful"),
    "a demo that knows the console": Breach(
        "tui/demo/demo.py", "from tui.console.app import MailholdApp", "tui", "tui.demo.demo -> tui.console.app"
    ),
    "two files that know each other": Breach(
        "store/vault/session.py",
        "def reader():\n    from store.vault.reader import Reader",
        "circles",
        "store.vault",
    ),
    "two packages of a room that know each other": Breach(
        "store/judging/engines/engine.py",
        "if TYPE_CHECKING:\n    from store.judging.judge import Judge",
        "circles",
        "store.judging",
    ),
}


def lint(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Return the report of the contracts for the packages in `root`, or of one contract."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo", *options]
    environment = {**os.environ, "PYTHONPATH": str(root), "COLUMNS": "300", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy both packages and the contracts."""
    root = tmp_path_factory.mktemp("house")
    for package in ("store", "tui"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def test_the_house_keeps_its_rules(house: Path) -> None:
    done = lint(house)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kept, 0 broken" in done.stdout


@pytest.mark.parametrize("breach", BREACHES.values(), ids=BREACHES)
def test_one_line_breaks_a_rule(house: Path, breach: Breach) -> None:
    path = house / breach.path
    before = path.read_text() if path.exists() else None
    path.write_text(f"{before or ''}\n{breach.line}\n")
    try:
        done = lint(house, "--contract", breach.contract)
    finally:
        path.unlink() if before is None else path.write_text(before)
    assert done.returncode == 1, done.stdout + done.stderr
    assert breach.said in re.sub(r"\s+", " ", done.stdout)


def test_no_rule_makes_an_exception() -> None:
    """No import is ignored, imports for types count, and no file may be next to the rooms."""
    assert set(CONTRACTS) == {"root_packages", "contracts"}
    for contract in CONTRACTS["contracts"]:
        assert not set(contract) & {"ignore_imports", "exhaustive_ignores", "skip_descendants", "depth"}
        assert contract.get("exhaustive", "containers" not in contract)


def test_make_check_asks() -> None:
    assert re.search(r"^check:.*\n(?:\t.*\n)*?\t@\$\(BIN\)/lint-imports", (ROOT / "Makefile").read_text(), re.MULTILINE)
