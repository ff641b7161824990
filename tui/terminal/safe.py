"""Makes text from messages safe to show: all such text passes these functions before it reaches the terminal.

Decode first, since encoded-words hide escapes. Each character that a terminal would obey, or that a reader would not
see, is replaced by a visible mark one cell wide:

    C0 controls and DEL   their control picture (␛, ␀, ␡ ...)
    C1 controls           ␦
    bidi controls         ⇄
    zero-width, fillers   ␢
    line separators       ␤
    others that are unassigned, not text, or of unknown width (surrogates, private use, tags, stray variation
    selectors, excess combining marks) ⍰

Three are removed without a mark, since they are harmless and common: a variation selector after a symbol, a joiner
between two emoji, a skin tone. Spaces of any kind become a plain space. `safe` is idempotent and never raises.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from store.helpers.file_names import safe_filename
from store.message.links import defang

if TYPE_CHECKING:
    from textual.content import Content

__all__ = ["defang", "fit", "safe", "safe_content", "safe_filename"]

_MARKS_IN_A_ROW = 4
_TAB = 8
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d")
_HIDDEN = frozenset(
    "\u00ad\u034f\u115f\u17b4\u17b5\u180e\u200b\u200c\u2060\u2061\u2062\u2063\u2064\u2800\u3164\ufeff\uffa0"
)
_UNKNOWN, _C1, _BIDI_MARK, _HIDDEN_MARK, _NEWLINE = "⍰", "␦", "⇄", "␢", "␤"

# Handled in `_in_context` after the translation, since neighbours matter: joiner, variation selectors, skin tones,
# combining marks, conjoining Hangul.
_JOINER = "\u200d"
_SELECTORS = frozenset("\ufe0e\ufe0f")
_SKIN = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
_JAMO = re.compile("[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?")
_JAMO_REST = re.compile("[\u1160-\u11ff\ud7b0-\ud7ff]")

# Characters that tmux and other terminals draw with a width different from the C library's: replaced in `fit`.
_DISPUTED = {0x1F1E6 + at: chr(0x41 + at) for at in range(26)} | dict.fromkeys(
    [
        0x261D,
        0x26F9,
        0x270C,
        0x270D,
        0x1F3CB,
        0x1F3CC,
        0x1F574,
        0x1F575,
        0x1F590,
        0x302E,
        0x302F,
        0x1171E,
        0x16FF0,
        0x16FF1,
        *range(0x3248, 0x3250),
    ],
    _UNKNOWN,
)

_PRINTABLE = re.compile(r"[ -~]*\Z")
# Characters whose treatment does not depend on their neighbours; a text of only these skips `_in_context`.
_CONTEXT_FREE = re.compile(
    "[\0-\u02ff\u0370-\u0482\u048a-\u0590\u1e00-\u200c\u200e-\u20cf\u2100-\u2cee\u3000-\u3029\u3030-\u3098\u309b-\ua66e\uac00-\ud7a3"
    "\uff00-\uff9d]*\\Z"
)


class _Table(dict[int, str]):
    """Caches the replacement of each character met. Emptied above `_LIMIT` entries, which hostile text could cause."""

    _LIMIT = 30_000

    def __init__(self, kept: dict[int, str]) -> None:
        super().__init__(kept)
        self._kept = kept

    def __missing__(self, code: int) -> str:
        if len(self) > self._LIMIT:
            self.clear()
        self[code] = replacement = self._kept.get(code) or _replacement(code)
        return replacement


def _replacement(code: int) -> str:
    character = chr(code)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if code < 0xA0:
        return character if code < 0x7F else _C1
    if character in _BIDI:
        return _BIDI_MARK
    if character in _HIDDEN:
        return _HIDDEN_MARK
    if character == _JOINER or character in _SELECTORS:
        return character
    match unicodedata.category(character):
        case "Zs":
            return " "
        case "Zl" | "Zp":
            return _NEWLINE
        case "Cc" | "Cf" | "Cn" | "Co" | "Cs":
            return _UNKNOWN
    if 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF:
        return _UNKNOWN
    return character


_LINE = _Table({0x09: " "})
_BLOCK = _Table({0x0A: "\n"})


def safe(text: str, *, multiline: bool = False, max_len: int | None = None) -> str:
    """Make everything in `text` visible that a terminal would obey or that a reader would not see.

    The result is one line, unless `multiline`, which keeps line feeds (CR LF becomes one) and expands tabs. With
    `max_len` it has at most so many characters; the last is an ellipsis if text was cut off.
    """
    cut = max_len is not None and len(text) > max_len
    if max_len is not None:
        text = text[: 4 * max(max_len, 0) + 64]
    if not _PRINTABLE.match(text):
        text = text.replace("\r\n", "\n").expandtabs(_TAB).translate(_BLOCK) if multiline else text.translate(_LINE)
        if not _CONTEXT_FREE.match(text):
            text = _in_context(text)
    if max_len is not None and (cut or len(text) > max_len):
        return text[: max_len - 1] + "…" if max_len > 0 else ""
    return text


#: Bits of `_in_context`: which modifiers the last character takes without a mark.
_SELECTOR, _SKIN_TONE, _JOINS = 1, 2, 4


def _in_context(text: str) -> str:
    text = _JAMO_REST.sub(_UNKNOWN, _JAMO.sub(_syllable, text))
    out: list[str] = []
    marks = 0
    takes = 0
    for character in text:
        category = unicodedata.category(character)
        if category[0] == "M" and character not in _SELECTORS:
            marks += 1
            takes = 0
            if marks == 1 and (not out or out[-1] in " \n"):
                out.append("◌")
            if marks <= _MARKS_IN_A_ROW + 1:
                out.append(character if marks <= _MARKS_IN_A_ROW else _UNKNOWN)
            continue
        marks = 0
        if character == _JOINER:
            if not takes & _JOINS:
                out.append(_HIDDEN_MARK)
            takes = 0
        elif character in _SELECTORS or character in _SKIN:
            if takes & (_SELECTOR if character in _SELECTORS else _SKIN_TONE):
                takes = _JOINS
            else:
                out.append(_UNKNOWN)
                takes = 0
        else:
            out.append(character)
            keycap = _SELECTOR if character in "#*0123456789" else 0
            takes = _SELECTOR | _SKIN_TONE | _JOINS if category == "So" else keycap
    return "".join(out)


def _syllable(match: re.Match[str]) -> str:
    lead, vowel, *tail = map(ord, match[0])
    return chr(0xAC00 + ((lead - 0x1100) * 21 + vowel - 0x1161) * 28 + (tail[0] - 0x11A7 if tail else 0))


def safe_content(text: str, style: str = "", *, multiline: bool = False) -> Content:
    """Make text from a message safe for a widget, in one style, never parsed as markup. Widgets must use this."""
    from textual.content import Content

    return Content.styled(safe(text, multiline=multiline), style)


def fit(text: str, width: int) -> str:
    """Make `text` safe and exactly `width` cells wide: cut with an ellipsis or padded with spaces.

    For cells of table rows: flags become their letters, and the few signs whose width
    differs between terminals become ⍰.
    """
    if width <= 0:
        return ""
    room = 8 * width + 64
    cut = len(text) > room
    line = safe(text[:room])
    if line.isascii():
        return line[: width - 1] + "…" if len(line) > width or cut else line.ljust(width)
    from tui.terminal.widths import cell_len, get_character_cell_size

    line = line.translate(_DISPUTED)
    used = cell_len(line)
    if used <= width and not cut:
        return line + " " * (width - used)
    kept: list[str] = []
    used = 0
    for character in line:
        used += (cells := get_character_cell_size(character))
        if used > width - 1:
            used -= cells
            break
        kept.append(character)
    return "".join(kept) + "…" + " " * (width - 1 - used)
