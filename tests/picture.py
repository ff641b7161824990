"""Textual's picture of a screen, made to look the same with any fonts.

Textual writes a row as runs of text and leaves the width of a character to the font. Here each piece of text between
wider gaps has its place, each character of two cells its own, and a script whose characters join is kept in its cells.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from rich.cells import cell_len

#: Pixels of a cell and of a row, as Textual draws them.
CELL, ROW = 12.2, 24.4
#: Fonts with characters of one width first, then those that have what these lack.
FONTS = ", ".join(
    [
        "ui-monospace",
        *(
            f"'{name}'"
            for name in (
                "Menlo",
                "Consolas",
                "DejaVu Sans Mono",
                "Noto Sans Mono",
                "Noto Sans Mono CJK JP",
                "Noto Sans CJK JP",
                "Noto Sans Symbols",
                "Noto Sans Symbols 2",
                "Apple Color Emoji",
                "Segoe UI Emoji",
                "Noto Color Emoji",
            )
        ),
        "monospace",
    ]
)
#: The size at which a character of Menlo and DejaVu Sans Mono (0.602 of it) is as wide as a cell.
FONT_SIZE = round(CELL / 0.602, 2)

_TEXT = re.compile(r'<text class="([^"]+)" x="([\d.]+)" y="([\d.]+)" [^>]*?(clip-path="[^"]*")>(.*?)</text>', re.DOTALL)
#: Scripts that are written from right to left or whose characters join or stand above each other, and what is beyond
#: the first plane.
_JOINING = re.compile("[\u0300-\u036f\u0590-\u1aff\u1c50-\u1cff\u200b-\u200f\u20d0-\u20ff\ufb1d-\ufdff\ufe00-\ufeff]")


class Piece(NamedTuple):
    """A text, the cell it begins at and how many cells it takes. `kept`: draw it within them whatever its font does."""

    text: str
    cell: int
    cells: int
    kept: bool


def pieces(text: str) -> Iterator[Piece]:
    """Yield the pieces of a row's text: what lies between two blanks or more, and each character of two cells."""
    cell = 0
    for run in re.findall(r"  +|(?:(?!  ).)+", text, re.DOTALL):
        if run.strip():
            yield from _pieces(run, cell)
        cell += cell_len(run)


def _pieces(run: str, cell: int) -> Iterator[Piece]:
    parts = [run] if _JOINING.search(run) else re.findall(r"[^\u1100-\uffff\U00010000-\U0010ffff]+|.", run, re.DOTALL)
    joined = ""
    for part in parts:
        if joined and len(part) == 1 and unicodedata.east_asian_width(part) in "WF":
            yield from _whole(joined, cell)
            cell, joined = cell + cell_len(joined), ""
        joined += part
        if len(part) == 1 and unicodedata.east_asian_width(part) in "WF":
            yield from _whole(joined, cell)
            cell, joined = cell + cell_len(joined), ""
    yield from _whole(joined, cell)


def _whole(text: str, cell: int) -> Iterator[Piece]:
    bare = text.strip(" ")
    if bare:
        begin = cell + cell_len(text) - cell_len(text.lstrip(" "))
        kept = bool(_JOINING.search(bare)) or any(ord(each) > 0xFFFF for each in bare)
        yield Piece(bare, begin, cell_len(bare), kept)


def _placed(found: re.Match[str]) -> str:
    names, left, base, clip, inner = found.groups()
    text = html.unescape(inner).replace("\u00a0", " ").rstrip("\n")
    drawn = []
    for piece in pieces(text):
        x, y, width = float(left) + piece.cell * CELL, float(base), piece.cells * CELL
        said = html.escape(piece.text, quote=False)
        how = f'class="{names}" x="{{:g}}" y="{{:g}}" textLength="{width:g}"'
        if piece.kept:
            how = how.format(0, 20)
            drawn.append(
                f'<svg x="{x:g}" y="{y - 20:g}" width="{width:g}" height="{ROW:g}">'
                f'<text {how} lengthAdjust="spacingAndGlyphs">{said}</text></svg>'
            )
        else:
            drawn.append(f"<text {how.format(x, y)} {clip}>{said}</text>")
    return "\n".join(drawn)


def placed(svg: str, name: str) -> str:
    """Return Textual's picture without a web font, its texts placed; `name` keeps its styles apart from another's."""
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-variant-east-asian: full-width;\s*", "", svg)
    svg = re.sub(r"terminal-\d+-", f"{name}-", svg)
    svg = re.sub(r"Fira Code(, monospace)?", FONTS, svg)
    svg = svg.replace("font-size: 20px", f"font-size: {FONT_SIZE:g}px").replace("family: arial", "family: sans-serif")
    svg = _TEXT.sub(_placed, svg)
    return re.sub(r"\n\s*\n+", "\n", svg)
