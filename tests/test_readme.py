"""The README says what is there: its tables are those of the code, its pictures exist, its commands run."""

from __future__ import annotations

import re
from pathlib import Path

from store.filters.line import FIELDS, parse
from tests.readme import README, with_tables
from tests.screenshots import SHOTS

ROOT = README.parent
TEXT = README.read_text()


def test_the_tables_are_made_from_the_code() -> None:
    assert with_tables(TEXT) == TEXT, "run `python -m tests.readme`"


def test_every_picture_is_there_and_shown() -> None:
    named = set(re.findall(r"\((screenshots/[a-z0-9-]+\.svg)\)", TEXT))
    assert named == {f"screenshots/{shot.name}.svg" for shot in SHOTS}
    for name in named:
        picture = (ROOT / name).read_text()
        assert picture.startswith("<svg")
        assert not re.search(r"""(url\(|href=|src=|@import)\s*["']?http""", picture), "a picture fetches nothing"


def test_the_filter_lines_of_the_readme_parse() -> None:
    block = re.search(r"## The filter line\n\n((?:    .*\n)+)", TEXT)
    assert block is not None
    assert not parse(" ".join(block[1].split())).is_empty
    for field in FIELDS:
        assert f"{field}:" in TEXT


def test_the_two_commands_stand_in_the_first_screen() -> None:
    first = "\n".join(TEXT.splitlines()[:20])
    assert "make demo" in first
    assert "make test" in first


def test_every_make_target_is_listed_by_make() -> None:
    makefile = Path(ROOT / "Makefile").read_text()
    phony = re.search(r"\.PHONY: (.*)", makefile)
    assert phony is not None
    assert set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE)) == set(phony[1].split())
