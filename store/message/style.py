"""Detect text of an HTML mail that the reader does not see, by inline styles, attributes and simple style sheet rules.

This is no style engine: only selectors of one tag, class or id count. If another selector sets a background, colours
are no longer compared, because a wrong "hidden" would be worse than none. Cannot raise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

_DECLARATIONS = 60
_RULES = 1000
_SHEET_LIMIT = 256 * 1024
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.S)
_ESCAPE = re.compile(r"\\([0-9a-fA-F]{1,6})\s?")
_SIMPLE = re.compile(r"[a-z0-9]*(?:[.#][\w-]+)?\Z")
_NUMBER = re.compile(r"-?\d{0,6}(?:\.\d{0,6})?")
_HEX = re.compile(r"#([0-9a-f]{3,8})\b")
_RGB = re.compile(r"rgba?\(\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})(?:[\s,/]+([\d.]{1,8})(%?))?\s*\)")
_PICTURE = re.compile(r"url\(|gradient\(|image")
_NAMES = {
    "white": (255, 255, 255), "black": (0, 0, 0), "red": (255, 0, 0), "blue": (0, 0, 255), "green": (0, 128, 0),
    "yellow": (255, 255, 0), "gray": (128, 128, 128), "grey": (128, 128, 128), "silver": (192, 192, 192),
    "navy": (0, 0, 128), "snow": (255, 250, 250), "ivory": (255, 255, 240), "whitesmoke": (245, 245, 245),
    "ghostwhite": (248, 248, 255), "floralwhite": (255, 250, 240), "azure": (240, 255, 255),
    "lightgray": (211, 211, 211),
    "lightgrey": (211, 211, 211), "gainsboro": (220, 220, 220), "orange": (255, 165, 0), "purple": (128, 0, 128),
    "maroon": (128, 0, 0), "teal": (0, 128, 128), "lime": (0, 255, 0), "aqua": (0, 255, 255), "cyan": (0, 255, 255),
}  # fmt: skip
_SAME = 12  # max difference per channel at which two colours look the same
_FAR = 500  # pixels outside the page that count as out of sight

Colour = tuple[int, int, int]


class Look(NamedTuple):
    """The look of text at one place: why it is hidden ("" if it is not), its colour and the colour behind it.

    `inside` is the part of `hidden` that applies to everything in the element, whatever its own colours.
    """

    hidden: str = ""
    inside: str = ""
    colour: Colour | None = (0, 0, 0)
    background: Colour | None = (255, 255, 255)


@dataclass
class Sheet:
    """The simple rules of a message's style sheets, by selector (lower case), and whether colours can be compared."""

    rules: dict[str, dict[str, str]] = field(default_factory=dict)
    colours_known: bool = True

    def read(self, text: str) -> None:
        """Add the rules of one sheet; rules inside an @-rule are skipped."""
        depth = 0
        selector = ""
        for piece in re.split(r"([{}])", _COMMENT.sub("", text[:_SHEET_LIMIT])):
            if piece == "{":
                depth += 1
            elif piece == "}":
                depth = max(0, depth - 1)
            elif depth == 0:
                selector = piece.rpartition(";")[2].strip().lower()
            elif depth == 1 and selector and not selector.startswith("@"):
                if len(self.rules) >= _RULES:
                    return
                self._add(selector, declarations(piece))

    def _add(self, selectors: str, found: dict[str, str]) -> None:
        for selector in selectors.split(",")[:50]:
            selector = selector.strip()
            if selector and _SIMPLE.match(selector):
                self.rules.setdefault(selector, {}).update(found)
            elif "background" in found or "background-color" in found:
                self.colours_known = False

    def style(self, tag: str, attributes: dict[str, str | None]) -> dict[str, str]:
        """Compute an element's declarations: from the rules for its tag, classes and id, then from its own style."""
        inline = declarations(attributes.get("style") or "")
        if not self.rules:
            return inline
        keys = [tag]
        for name in (attributes.get("class") or "").lower().split()[:20]:
            keys += ("." + name, f"{tag}.{name}")
        if identity := (attributes.get("id") or "").lower():
            keys += ("#" + identity, f"{tag}#{identity}")
        merged: dict[str, str] = {}
        for key in keys:
            merged.update(self.rules.get(key, ()))
        return merged | inline


def declarations(style: str) -> dict[str, str]:
    """Parse a style into ``name: value`` pairs: lower case, escapes and comments resolved, `!important` removed."""
    if not style:
        return {}
    style = _ESCAPE.sub(_unescape, _COMMENT.sub("", style[:4096])).replace("\\", "").lower()
    found: dict[str, str] = {}
    for declaration in style.split(";")[:_DECLARATIONS]:
        name, colon, value = declaration.partition(":")
        if colon:
            found[name.strip()] = value.replace("!important", "").strip()
    return found


def _unescape(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if code < 0x110000 else "\ufffd"


def look_of(tag: str, attributes: dict[str, str | None], sheet: Sheet, outer: Look) -> Look:
    """Compute the look of text in this element from the look around it."""
    style = sheet.style(tag, attributes) if attributes or sheet.rules else {}
    if not style and not attributes:
        return outer
    background = outer.background
    if "background-image" in style or _PICTURE.search(style.get("background", "")) or attributes.get("background"):
        background = None
    else:
        value = style.get("background-color") or style.get("background") or attributes.get("bgcolor") or ""
        if value:
            background = parse_colour(value, background)
    colour = outer.colour
    value = style.get("color") or (attributes.get("color") if tag == "font" else "") or ""
    if value and value != "inherit":
        colour = parse_colour(value, background)
    elif tag == "a":
        colour = None
    inside = hidden = outer.inside or _hidden(attributes, style)
    if not hidden and colour and background and sheet.colours_known and colour_close(colour, background):
        hidden = "same colour as the background"
    return Look(hidden, inside, colour, background)


def _hidden(attributes: dict[str, str | None], style: dict[str, str]) -> str:
    if "hidden" in attributes:
        return "hidden attribute"
    if not style:
        return ""
    if style.get("display") == "none" or style.get("mso-hide") == "all":
        return "not displayed"
    if style.get("visibility") in ("hidden", "collapse"):
        return "invisible"
    if "font-size" in style and _length(style["font-size"]) < 2 and style["font-size"][:1].isdigit():
        return "font size near zero"
    if "opacity" in style and style["opacity"][:1] in "0." and _length(style["opacity"]) < 0.1:
        return "transparent"
    if _length(style.get("text-indent", "")) < -_FAR or _length(style.get("letter-spacing", "")) < -_FAR:
        return "outside the page"
    if style.get("position") in ("absolute", "fixed"):
        for edge in ("left", "top", "right", "bottom"):
            if abs(_length(style.get(edge, ""))) > 2 * _FAR or _length(style.get(edge, "")) < -_FAR:
                return "outside the page"
        if style.get("clip", "").replace(" ", "") in ("rect(0,0,0,0)", "rect(0000)", "rect(1px,1px,1px,1px)"):
            return "clipped away"
    if style.get("overflow") == "hidden":
        for extent in ("height", "max-height", "width", "max-width"):
            if extent in style and style[extent][:1].isdigit() and _length(style[extent]) < 2:
                return "in a box of no size"
    return ""


def _length(value: str) -> float:
    found = _NUMBER.match(value)
    try:
        number = float(found[0]) if found else 0.0
    except ValueError:
        return 0.0
    if value.endswith(("em", "rem", "%")) and found:
        number *= 16 if not value.endswith("%") else 0.16
    return number


def parse_colour(value: str, behind: Colour | None) -> Colour | None:
    """Parse a CSS colour into (red, green, blue): `behind` if it is transparent, None if it is unknown."""
    value = value.strip().lower()
    if match := _HEX.search(value):
        digits = match[1]
        if len(digits) in (3, 4):
            digits = "".join(digit * 2 for digit in digits[:3])
        if len(digits) < 6:
            return None
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
    if match := _RGB.search(value):
        if match[4] and _length(match[4]) < (10 if match[5] else 0.1):
            return behind
        return min(255, int(match[1])), min(255, int(match[2])), min(255, int(match[3]))
    first = value.split(" ", 1)[0]
    if first in ("transparent", "none"):
        return behind
    return _NAMES.get(first)


def colour_close(one: Colour, other: Colour) -> bool:
    """Return True if the two colours look the same."""
    return all(abs(a - b) <= _SAME for a, b in zip(one, other, strict=True))
