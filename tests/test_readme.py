"""The documentation describes the code: its tables are generated from it, its pictures and links exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from store.authority.settings import FIRST, Settings, parse_setting
from store.filters.line import FIELDS, parse
from store.gateway.metrics import COUNTERS, FROM_ZERO
from tests.film import PICTURE
from tests.readme import PAGES, README, ROOT, scripts, with_tables
from tests.screenshots import SHOTS

TEXTS = {page: page.read_text() for page in PAGES}
CONSOLE = TEXTS[ROOT / "docs/console.md"]
OPERATIONS = TEXTS[ROOT / "docs/operations.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_are_made_from_the_code(page: Path) -> None:
    assert with_tables(TEXTS[page]) == TEXTS[page], "run `python -m tests.readme`"


def test_each_table_stands_on_a_page() -> None:
    for name in ("keys", "commands", "mailhold.toml"):
        assert sum(f"<!-- {name}: " in text for text in TEXTS.values()) == 1


def test_every_picture_is_there_and_shown() -> None:
    named = {
        name for text in TEXTS.values() for name in re.findall(r"\((?:\.\./)?(screenshots/[a-z0-9-]+\.svg)\)", text)
    }
    assert named == {f"screenshots/{shot.name}.svg" for shot in SHOTS} | {f"screenshots/{PICTURE.name}"}
    for name in named:
        picture = (ROOT / name).read_text()
        assert picture.startswith("<svg")
        assert not re.search(r"""(url\(|href=|src=|@import)\s*["']?http""", picture), "a picture fetches nothing"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", TEXTS[page]):
        name, _, anchor = target.partition("#")
        to = (page.parent / name).resolve() if name else page
        assert to.exists(), target
        if anchor:
            assert anchor in {anchor_of(title) for title in re.findall(r"(?m)^#+ (.*)$", to.read_text())}, target


def test_the_architecture_chapter_names_every_room_and_only_files_that_exist() -> None:
    text = TEXTS[ROOT / "docs/architecture.md"]
    rooms = {name for names in re.findall(r"(?m)^\| (`[^|]*`) \|", text) for name in re.findall(r"`([^`]+)`", names)}
    there = {
        path.name for path in (ROOT / "store").iterdir() if path.name not in ("__init__.py", "__pycache__", "py.typed")
    }
    assert rooms == there
    for name in re.findall(r"`((?:store|tui|tests)/[\w/.-]+)`", text):
        assert (ROOT / name).exists(), name


def anchor_of(title: str) -> str:
    """Return the anchor that Markdown viewers give to a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_the_filter_lines_of_the_console_chapter_parse() -> None:
    block = re.search(r"## The filter line\n\n((?:    .*\n)+)", CONSOLE)
    assert block is not None
    assert not parse(" ".join(block[1].split())).is_empty
    for field in FIELDS:
        assert f"{field}:" in CONSOLE


def test_every_setting_is_explained_with_its_value_in_a_new_store() -> None:
    rows = re.findall(r"(?m)^\| `(\w+)` \|(?: `([^`]+)`)? \| [A-Z].*\. \|$", TEXTS[ROOT / "docs/commands.md"])
    assert [name for name, _ in rows] == list(Settings.__struct_fields__)
    for name, value in rows:
        if name not in ("hold", "hold_many"):  # The tests hold nothing.
            assert getattr(parse_setting(FIRST, name, value)[0], name) == getattr(FIRST, name), name


#: The start of a line of commands.
COMMAND = (
    r"(?:sudo |export |[A-Z_]+=\S+ )*"
    r"(?:mailhold|make|pipx?|python3?|rm|cp|install|createdb|pg_restore|systemctl|postfix)(?:\s|$)"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_commands_is_run_or_says_why_not(page: Path) -> None:
    text = TEXTS[page]
    assert not re.findall(rf"(?m)^ {{4,}}{COMMAND}.*$", text), "commands stand in a fence, ```sh"
    fences = re.findall(r"((?:^<!-- [^\n]* -->\n)?)^```(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert 2 * len(fences) == len(re.findall(r"(?m)^\s*(?:```|~~~)", text)), "a fence begins its line, and ends"
    for before, kind, block in fences:
        assert kind in ("sh", "text", "toml", "yaml"), kind
        if kind != "sh":
            assert not re.search(rf"(?m)^{COMMAND}", block)
        elif before.startswith("<!-- not run"):
            assert re.fullmatch(r"<!-- not run: \S.{10,} -->\n", before)
        else:
            assert block in "".join(scripts(page))


def test_the_front_page_is_short_and_begins_with_the_two_commands() -> None:
    lines = TEXTS[README].splitlines()
    assert len(lines) <= 120
    assert "make demo" in "\n".join(lines[:20])
    assert "make test" in "\n".join(lines[:20])


def test_every_make_target_is_listed_by_make() -> None:
    makefile = Path(ROOT / "Makefile").read_text()
    phony = re.search(r"\.PHONY: (.*)", makefile)
    assert phony is not None
    assert set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE)) == set(phony[1].split())


def test_every_line_of_the_log_is_explained() -> None:
    said = set()
    for path in (ROOT / "store").rglob("*.py"):
        said |= set(re.findall(r"""\b_?say\(\s*"([^"]+)\"""", path.read_text()))
    daemon = (ROOT / "store/gateway/daemon.py").read_text()
    said |= set(re.findall(r'self\._again\(.*"([^"]+)"\)', daemon))
    explained = set(re.findall(r"(?m)^\| ([a-z][^|]+?) \| (?:info|warning|error) \|", OPERATIONS))
    assert said == explained


def test_every_metric_is_explained() -> None:
    explained = set(re.findall(r"(?m)^\| `mailhold_([a-z_]+)` \|", OPERATIONS))
    daemon = (ROOT / "store/gateway/daemon.py").read_text()
    gauges = set(re.findall(r"""(?m)^\s+"([a-z_]+)": \($""", daemon)) | set(
        re.findall(r'labelled\["([a-z_]+)"\]', daemon)
    )
    gauges |= set(re.findall(r"""(?m)^\s+"([a-z_]+)": \("[^\n]*lambda""", daemon))
    assert explained == {f"{name}_total" for name in COUNTERS} | {"judge_seconds", "put_seconds"} | gauges


def test_alert_rules_ask_for_metrics_that_exist() -> None:
    asked = re.findall(r"(?m)^ +expr: (.*)$", OPERATIONS)
    explained = set(re.findall(r"(?m)^\| `(mailhold_[a-z_]+)` \|", OPERATIONS))
    names = {name.removesuffix("_bucket") for line in asked for name in re.findall(r"mailhold_[a-z_]+", line)}
    assert names and names <= explained
    # increase() does not see the first event of a counter that appears with it.
    counted = set(re.findall(r"increase\(mailhold_([a-z_]+)_total", " ".join(asked)))
    assert counted and counted <= {name for name, _labels in FROM_ZERO}
