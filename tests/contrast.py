"""Legibility of text: the WCAG contrast of two colours, and the colour pairs in a picture."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

#: Minimum contrast for text of ordinary size in WCAG 2 (level AA).
ENOUGH = 4.5

_STYLE = re.compile(r"\.(\S+-r\d+) \{ fill: (#[0-9a-f]{6})")
_RECT = re.compile(r'<rect fill="(#[0-9a-f]{6})" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"')
_TEXT = re.compile(
    r'(?:<svg x="([\d.]+)" y="([\d.]+)"[^>]*>)?<text [^>]*class="([^"]+)" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>',
    re.DOTALL,
)
#: Lines, blocks and bars: decoration whose meaning is also given in words next to it.
_DRAWN = re.compile("[\\s\u2500-\u259f]*")


class Pair(NamedTuple):
    """A text, its colour and its background, as `#rrggbb`."""

    text: str
    ground: str
    said: str


def _luminance(color: str) -> float:
    channels = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours (`#rrggbb`), from 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def blended(color: str, over: str, share: float) -> str:
    """Return a colour covered by another one to `share` (0 to 1)."""
    channels = ((int(color[at : at + 2], 16), int(over[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(one + (other - one) * share):02x}" for one, other in channels)


def near(one: str, other: str) -> bool:
    """Return True if two colours are equal but for rounding."""
    return all(abs(int(one[at : at + 2], 16) - int(other[at : at + 2], 16)) <= 2 for at in (1, 3, 5))


def pairs(svg: str) -> Iterator[Pair]:
    """Yield the texts of a picture that have one of the console's own background colours."""
    styles = dict(_STYLE.findall(svg))
    grounds = [(color, *map(float, place)) for color, *place in _RECT.findall(svg)]
    for left_of, top_of, names, at, base, inner in _TEXT.findall(svg):
        said = html.unescape(re.sub(r"<[^>]*>", "", inner)).replace("\u00a0", " ")
        style = styles.get(names.split()[-1])
        if style is None or _DRAWN.fullmatch(said):
            continue
        x, y = float(left_of or 0) + float(at) + 1, float(top_of or 0) + float(base) - 4
        under = [c for c, left, top, width, height in grounds if left <= x < left + width and top <= y < top + height]
        if under:
            yield Pair(style, under[-1], said)
