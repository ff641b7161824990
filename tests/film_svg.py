"""An animated SVG of a terminal. It contains no script, font or address, so that it also plays in an `<img>`.

The frames are side by side in one strip, and one CSS animation moves the strip by a frame at a time. Each line of the
terminal is drawn once and reused by all frames that show it. Without animation, the first frame stays.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len
from rich.color import Color, blend_rgb
from rich.segment import Segment
from rich.terminal_theme import SVG_EXPORT_THEME

#: A cell, the margin around the terminal, and the band with the keys below it (units of the picture).
CELL, LINE, MARGIN, BAND = 9, 19, 12, 58
#: Font size, and the base line below the top of a cell.
FONT, BASE = 15, 14
INK, DESK, KEY, EDGE = "#e6eaee", "#0c0f12", "#20262c", "#56626d"

#: The halves of a cell's cross that a line drawing character fills: left, right, up, down.
_LINES = {
    "─": "lr",
    "│": "ud",
    "┌": "dr",
    "┐": "dl",
    "└": "ur",
    "┘": "ul",
    "├": "udr",
    "┤": "udl",
    "┬": "dlr",
    "┴": "ulr",
}
#: The rectangles of the halves (x, y, width, height). Downwards they extend into the next line, so that no gap shows.
_HALVES = {"l": (0, 9, 5, 1), "r": (4, 9, 5, 1), "u": (4, 0, 1, 10), "d": (4, 9, 1, LINE - 8)}
#: Keeps the edges of filled shapes sharp, so that no seams show in a scaled picture. A thin line would disappear.
_CRISP = ";shape-rendering:crispEdges"
#: Free space above and below a bar, so that bars in neighbouring lines stay apart.
_GAP = 2


class Look(NamedTuple):
    """The look of a cell: colours as #rrggbb."""

    ink: str
    ground: str
    bold: bool = False
    italic: bool = False
    underline: bool = False


class Cell(NamedTuple):
    """A character with its combining marks, and the number of columns it takes (1 or 2)."""

    text: str
    width: int
    look: Look


class Frame(NamedTuple):
    """The screen, the keys that led to it, a caption, and its duration (s)."""

    lines: Sequence[Sequence[Cell]]
    keys: Sequence[str]
    says: str
    seconds: float


def look_of(segment: Segment) -> Look:
    """Return the look that Rich gives a segment, with its defaults, dim and reverse applied."""
    style = segment.style
    theme = SVG_EXPORT_THEME
    if style is None:
        return Look(theme.foreground_color.hex, theme.background_color.hex)
    ink = (style.color or Color.default()).get_truecolor(theme, foreground=True)
    ground = (style.bgcolor or Color.default()).get_truecolor(theme, foreground=False)
    if style.reverse:
        ink, ground = ground, ink
    if style.dim:
        ink = blend_rgb(ink, ground, 0.4)
    return Look(ink.hex, ground.hex, bool(style.bold), bool(style.italic), bool(style.underline))


def cells_of(segments: Iterable[Segment]) -> list[Cell]:
    """Split a line of the terminal into cells."""
    cells: list[Cell] = []
    for segment in segments:
        if segment.control:
            continue
        look = look_of(segment)
        for character in segment.text:
            width = cell_len(character)
            if width:
                cells.append(Cell(character, width, look))
            elif cells:
                cells[-1] = cells[-1]._replace(text=cells[-1].text + character)
    return cells


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _block(character: str) -> tuple[float, float, float, float] | None:
    """Return the part of a cell that a block fills (x, y, width, height), or None if it is no block."""
    code = ord(character[0])
    if 0x2581 <= code < 0x2588:
        height = LINE * (code - 0x2580) / 8
        return 0, LINE - height, CELL, height
    if 0x2588 <= code <= 0x258F:
        return 0, _GAP, CELL * (0x2590 - code) / 8, LINE - 2 * _GAP
    return None


def _kind(cell: Cell) -> str:
    """Classify a cell: `drawn` (line or block), `wide`, `symbol` (from any font that has it) or `text`."""
    if cell.text in _LINES or _block(cell.text):
        return "drawn"
    if cell.width > 1:
        return "wide"
    return "symbol" if unicodedata.category(cell.text[0]) == "So" else "text"


class Drawing:
    """The lines and styles of a picture, each stored once and named in order of appearance.

    `ground`: the colour on which the lines are drawn.
    """

    def __init__(self, ground: str) -> None:
        self._ground = ground
        self._classes: dict[str, str] = {}
        self._lines: dict[tuple[Cell, ...], str] = {}
        self._drawn: list[str] = []

    def _class(self, rule: str) -> str:
        return self._classes.setdefault(rule, f"c{len(self._classes)}")

    def line(self, cells: Sequence[Cell]) -> str:
        """Return the name of a line; draw it if it is new."""
        key = tuple(cells)
        if key not in self._lines:
            self._lines[key] = name = f"l{len(self._lines)}"
            body = "".join([*self._grounds(cells), *self._inks(cells)])
            self._drawn.append(f'<g id="{name}">{body}</g>')
        return self._lines[key]

    def _rect(self, rule: str, x: float, y: float, width: float, height: float) -> str:
        at = f' x="{_number(x)}"' if x else ""
        at += f' y="{_number(y)}"' if y else ""
        return f'<rect class="{self._class(rule)}"{at} width="{_number(width)}" height="{_number(height)}"/>'

    def _grounds(self, cells: Sequence[Cell]) -> Iterable[str]:
        for first, run in runs(cells, lambda cell: cell.look.ground):
            if run[0].look.ground != self._ground:
                rule = f"fill:{run[0].look.ground}{_CRISP}"
                yield self._rect(rule, first * CELL, 0, columns(run) * CELL, LINE)

    def _inks(self, cells: Sequence[Cell]) -> Iterable[str]:
        for first, run in runs(
            cells, lambda cell: (cell.look, _kind(cell), cell.text if _kind(cell) == "drawn" else "")
        ):
            kind, look = _kind(run[0]), run[0].look
            if kind == "drawn":
                yield from self._shapes(first * CELL, run)
            elif kind == "symbol":
                for place, cell in enumerate(run, first):
                    yield self._text((place + 0.5) * CELL, cell.text, look, "text-anchor:middle")
            else:
                for start, words in phrases(run):
                    text = "".join(cell.text for cell in words)
                    yield self._text((first + start) * CELL, text, look, "", columns(words) * CELL)

    def _shapes(self, x: float, run: Sequence[Cell]) -> Iterable[str]:
        rule, character = f"fill:{run[0].look.ink}", run[0].text
        wide = columns(run) * CELL
        if character == "─":
            yield self._rect(rule, x, 9, wide, 1)
        elif character == "█":
            yield self._rect(rule + _CRISP, x, _GAP, wide, LINE - 2 * _GAP)
        else:
            block = _block(character)
            parts = [block] if block else [_HALVES[half] for half in _LINES[character]]
            for place in range(len(run)):
                for left, top, width, height in parts:
                    yield self._rect(rule + _CRISP * bool(block), x + place * CELL + left, top, width, height)

    def _text(self, x: float, text: str, look: Look, more: str, length: float = 0) -> str:
        rule = f"fill:{look.ink}"
        rule += ";font-weight:bold" if look.bold else ""
        rule += ";font-style:italic" if look.italic else ""
        rule += ";text-decoration:underline" if look.underline else ""
        rule += f";{more}" if more else ""
        held = f' textLength="{_number(length)}"' if length > CELL else ""
        return f'<text class="{self._class(rule)}" x="{_number(x)}" y="{BASE}"{held}>{escape(text, quote=False)}</text>'

    def styles(self) -> str:
        """Return the CSS rules of everything drawn."""
        return "\n".join(f".{name}{{{rule}}}" for rule, name in self._classes.items())

    def lines(self) -> str:
        """Return all lines drawn."""
        return "\n".join(self._drawn)


def columns(cells: Iterable[Cell]) -> int:
    """Return the number of columns that cells take."""
    return sum(cell.width for cell in cells)


def runs(cells: Sequence[Cell], key: Callable[[Cell], object]) -> Iterable[tuple[int, list[Cell]]]:
    """Yield runs of cells with an equal `key`, each with its first column."""
    place = 0
    for _, group in groupby(cells, key):
        run = list(group)
        yield place, run
        place += columns(run)


def phrases(run: Sequence[Cell]) -> Iterable[tuple[int, list[Cell]]]:
    """Split a run at two or more spaces, because SVG merges them; yield each part with its first column."""
    text = "".join(cell.text[0] for cell in run)
    for found in re.finditer(r"\S+(?: \S+)*", text):
        yield columns(run[: found.start()]), list(run[found.start() : found.end()])


def _caption(keys: Sequence[str], says: str, top: float) -> str:
    """Draw key caps with their effect next to them."""
    drawn, x = [], MARGIN
    for key in keys:
        width = max(40, 24 + 15 * len(key))
        drawn.append(f'<rect class="key" x="{x}" y="{_number(top + 9)}" width="{width}" height="40" rx="6"/>')
        drawn.append(f'<text class="cap" x="{_number(x + width / 2)}" y="{_number(top + 37)}">{escape(key)}</text>')
        x += width + 8
    return "".join(
        [*drawn, f'<text class="says" x="{x + 8}" y="{_number(top + 37)}">{escape(says, quote=False)}</text>']
    )


def keyframes(seconds: Sequence[float], width: float) -> str:
    """Yield the steps of the animation: the share of the time at which each frame begins."""
    whole, gone, steps = sum(seconds), 0.0, []
    for number, each in enumerate(seconds):
        steps.append(f"{_number(100 * gone / whole)}%{{transform:translateX({_number(-number * width)}px)}}")
        gone += each
    return "".join(steps)


def film(frames: Sequence[Frame], title: str) -> str:
    """Return the picture.

    Raises ValueError: frames of different sizes.
    """
    sizes = {(columns(line), len(frame.lines)) for frame in frames for line in frame.lines}
    if len(sizes) != 1:
        raise ValueError(f"The frames have several sizes: {sorted(sizes)}. Take all of them in one terminal.")
    ((across, down),) = sizes
    width, top = across * CELL + 2 * MARGIN, down * LINE + MARGIN
    height = top + BAND
    ground = most([cell.look.ground for line in frames[0].lines for cell in line])
    drawing, strips = Drawing(ground), []
    for number, frame in enumerate(frames):
        uses = "".join(
            f'<use href="#{drawing.line(line)}" x="{MARGIN}" y="{MARGIN + row * LINE}"/>'
            for row, line in enumerate(frame.lines)
        )
        at = f' transform="translate({number * width})"' if number else ""
        strips.append(f'<g class="frame"{at}>{uses}{_caption(frame.keys, frame.says, top)}</g>')
    seconds = sum(frame.seconds for frame in frames)
    size = f'width="{width}" height="{height}"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size} role="img">
<title>{escape(title, quote=False)}</title>
<style>
text{{font:{FONT}px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}}
.key{{fill:{KEY};stroke:{EDGE}}}
.cap{{fill:{INK};font-size:24px;font-weight:bold;text-anchor:middle}}
.says{{fill:{INK};font:23px system-ui,"Segoe UI",Helvetica,Arial,"DejaVu Sans",sans-serif}}
{drawing.styles()}
@keyframes film{{{keyframes([frame.seconds for frame in frames], width)}}}
.film{{animation:film {_number(seconds)}s step-end infinite}}
@media (prefers-reduced-motion:reduce){{.film{{animation:none}}}}
</style>
<defs>
{drawing.lines()}
</defs>
<svg {size}>
<rect {size} rx="8" style="fill:{DESK}"/>
<rect x="{MARGIN}" y="{MARGIN}" width="{across * CELL}" height="{down * LINE}" style="fill:{ground}"/>
<g class="film">
{chr(10).join(strips)}
</g>
</svg>
</svg>
"""


def most(values: Sequence[str]) -> str:
    """Return the most frequent value, on a tie the first."""
    return max(dict.fromkeys(values), key=values.count)
