"""Every text is legible on its background, in the themes that choose their own colours.

Text behind a window is dimmed on purpose: it cannot be used until the window is closed.
"""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest
from textual.theme import Theme

from tests.contrast import ENOUGH, blended, contrast, near, pairs
from tui.console.theme import DARK, LIGHT, SIXTEEN

ROOT = Path(__file__).resolve().parents[3]
CONSOLE = ROOT / "tui" / "console"
PICTURES = sorted([*(ROOT / "screenshots").glob("*.svg"), *Path(__file__).parent.glob("__snapshots__/*/*.svg")])
#: Text colours, and the backgrounds they are used on.
TEXTS = ("foreground", "muted", "text-muted", "accent", "danger", "text-error", "error", "risk", "warning")
TEXTS = (*TEXTS, "text-warning", "policy")
GROUNDS = ("background", "surface", "panel", "cursor", "cursor-blurred", "block-cursor-background")
#: Text that is never on a cursor row or in a focused field.
QUIET, QUIET_GROUNDS = ("text-disabled",), ("background", "surface", "panel")
#: Pairs used only together.
SELECTED = (
    ("input-selection-foreground", "input-selection-background"),
    ("screen-selection-foreground", "screen-selection-background"),
    ("block-cursor-foreground", "block-cursor-background"),
)
#: Not text: lines, and the ticks at a field's ends.
LINES = ("faint", "border-blurred")
#: Share of the accent in a focused field's tint; share of the background in the dimming behind a window.
TINT, VEIL = 0.12, 0.6


def colors(theme: Theme) -> dict[str, str]:
    every = theme.to_color_system().generate() | theme.variables
    return {name: value.lower() for name, value in every.items()}


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_every_text_can_be_read_wherever_it_is_painted(theme: Theme) -> None:
    of = colors(theme)
    grounds = {name: of[name] for name in GROUNDS}
    grounds["a field that has focus"] = blended(of["panel"], of["accent"], TINT)
    found = {(text, ground): contrast(of[text], color) for text in TEXTS for ground, color in grounds.items()}
    found |= {(text, ground): contrast(of[text], of[ground]) for text in QUIET for ground in QUIET_GROUNDS}
    found |= {(text, ground): contrast(of[text], of[ground]) for text, ground in SELECTED}
    assert {pair: round(ratio, 2) for pair, ratio in found.items() if ratio < ENOUGH} == {}


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_meanings_have_colours_of_their_own(theme: Theme) -> None:
    of = colors(theme)
    said = {name: of[name] for name in ("foreground", "muted", "accent", "danger", "risk", "success")}
    alike = [
        (one, other)
        for (one, left), (other, right) in combinations(said.items(), 2)
        if sum((int(left[at : at + 2], 16) - int(right[at : at + 2], 16)) ** 2 for at in (1, 3, 5)) < 40**2
    ]
    assert alike == []


def test_the_style_sheets_use_no_other_colours() -> None:
    sheets = "".join(path.read_text() for path in CONSOLE.rglob("*.py") if path.name != "theme.py")
    text = set(re.findall(r"(?<![\w-])color: \$([\w-]+)", sheets)) | set(
        re.findall(r"stylize\(\".*?\$([\w-]+)", sheets)
    )
    assert text - {*TEXTS, *QUIET, *LINES, *(pair[0] for pair in SELECTED)} == set()
    ground = set(re.findall(r"background: \$([\w-]+)", sheets))
    assert ground - {*GROUNDS, *(pair[1] for pair in SELECTED)} == set()
    assert set(re.findall(r"background-tint: \$accent (\d+)%", sheets)) == {f"{TINT:.0%}".rstrip("%")}


@pytest.mark.parametrize("theme", [DARK, LIGHT, SIXTEEN], ids=lambda theme: theme.name)
def test_what_is_disabled_is_in_italics_where_it_is_drawn(theme: Theme) -> None:
    sheets = "".join(path.read_text() for path in CONSOLE.rglob("*.py") if path.name != "theme.py")
    used = re.findall(r"[^\n]*(?<!-)color: \$text-disabled;[^\n]*", sheets)
    assert used
    assert [line for line in used if "text-style: italic" not in line] == []
    assert theme.variables["text-disabled"] != "ansi_bright_black"  # In some palettes this is the background.


def veiled(text: str, ground: str) -> bool:
    """Return True if both are a theme's own colours, dimmed behind a window."""
    for theme in (DARK, LIGHT):
        of = colors(theme)
        names = (*TEXTS, *QUIET, *LINES, "success")
        behind = [blended(of[name], of["background"], VEIL) for name in names]
        grounds = [blended(of[name], of["background"], VEIL) for name in GROUNDS]
        if any(near(text, each) for each in behind) and any(near(ground, each) for each in grounds):
            return True
    return False


def test_every_text_in_the_pictures_can_be_read() -> None:
    seen: dict[tuple[str, str], tuple[str, str]] = {}
    for path in PICTURES:
        for pair in pairs(path.read_text()):
            seen.setdefault((pair.text, pair.ground), (path.name, pair.said))
    assert len(seen) > 30
    weak = {
        where: f"{text} on {ground}: {contrast(text, ground):.2f}"
        for (text, ground), where in seen.items()
        if contrast(text, ground) < ENOUGH and not veiled(text, ground)
    }
    assert weak == {}
