from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.content import Content

from tests.store.message.hostile import texts
from tui.terminal.safe import fit, safe, safe_content

#: Characters that data must never send to a terminal: controls, bidi, invisible and unassigned ones.
FORBIDDEN = re.compile(
    "[\0-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\ue000-\uf8ff\U000e0000-\U0010ffff]"
)


def test_every_character_comes_out_harmless_measurable_and_stable() -> None:
    for code in range(0x110000):
        shown = safe(chr(code))
        assert not FORBIDDEN.search(shown), hex(code)
        assert cell_len(shown) >= 1, hex(code)
        assert safe(shown) == shown, hex(code)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("\x1b]0;owned\x07", "␛]0;owned␇"),
        ("\x9b31m", "␦31m"),
        ("a\0b\x7f", "a␀b␡"),
        ("annexe\u202efdp.exe", "annexe⇄fdp.exe"),
        ("pay\u200bpal\ufeff", "pay␢pal␢"),
        ("one\r\ntwo\tthree", "one␍␊two three"),
        ("a\u2028b\u2029c", "a␤b␤c"),
        ("\U000e0041\ue000\u0378", "⍰⍰⍰"),
        ("non\u00a0breaking\u3000wide", "non breaking wide"),
        ("e\u0301", "e\u0301"),
        ("z" + "\u0301" * 40 + "a", "z\u0301\u0301\u0301\u0301⍰a"),
        ("\u0301x", "◌\u0301x"),
        ("❤\ufe0f", "❤"),
        ("a\ufe0fb", "a⍰b"),
        ("👩\u200d🚀", "👩🚀"),
        ("👍🏽", "👍"),
        ("a\u200db", "a␢b"),
        ("\u1112\u1161\u11ab", "한"),
        ("\u1161", "⍰"),
        ("Straße 契約 Привет שלום", "Straße 契約 Привет שלום"),
        ("\ud83d\ude00", "⍰⍰"),
    ],
)
def test_what_a_terminal_would_obey_is_made_visible(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_lines_are_kept_where_they_are_wanted() -> None:
    assert safe("a\r\nb\n\tc\rd", multiline=True) == "a\nb\n        c␍d"
    assert safe("\x1b[2J\n\u202e", multiline=True) == "␛[2J\n⇄"
    assert safe("a\n\u0301b", multiline=True) == "a\n◌\u0301b"


@given(texts, st.booleans())
def test_hostile_text_is_harmless_and_stable(text: str, multiline: bool) -> None:
    shown = safe(text, multiline=multiline)
    assert not FORBIDDEN.search(shown.replace("\n", "") if multiline else shown)
    assert safe(shown, multiline=multiline) == shown
    for run in re.findall("[\u0300-\u036f]+", shown):
        assert len(run) <= 4


@given(texts, st.integers(0, 40))
def test_a_limit_holds(text: str, limit: int) -> None:
    shown = safe(text, max_len=limit)
    assert len(shown) <= limit
    if len(text) > limit > 0:
        assert shown.endswith("…")


@given(texts, st.integers(-1, 60))
def test_fit_fills_exactly_its_cells(text: str, width: int) -> None:
    shown = fit(text, width)
    assert cell_len(shown) == max(width, 0)
    assert not FORBIDDEN.search(shown)


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"]), max_size=60), st.integers(1, 30))
def test_fit_fills_exactly_its_cells_in_every_script(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width


def test_fit_cuts_wide_characters_whole() -> None:
    assert fit("契約書", 6) == "契約書"
    assert fit("契約書", 5) == "契約…"
    assert fit("契約書", 4) == "契… "
    assert fit("abc", 5) == "abc  "
    assert fit("abcdef", 5) == "abcd…"
    assert fit("x" * 100_000, 3) == "xx…"


def test_content_parses_no_markup() -> None:
    content = safe_content("[@click=app.quit]x[/] [/foo] [b]", "bold")
    assert isinstance(content, Content)
    assert content.plain == "[@click=app.quit]x[/] [/foo] [b]"
    assert [(span.start, span.end, span.style) for span in content.spans] == [(0, len(content.plain), "bold")]
    assert safe_content("a\x1b\nb", multiline=True).plain == "a␛\nb"


def test_ordinary_text_of_many_scripts_is_left_alone() -> None:
    for text in (
        "Größe ändern",
        "żółć",
        "Ελληνικά",
        "Русский текст",
        "日本語のメール",
        "한국어",
        "ไทย",
        "हिन्दी",
        "עברית",
        "العربية",
    ):
        assert safe(text) == text
        assert unicodedata.is_normalized("NFC", safe(text))
