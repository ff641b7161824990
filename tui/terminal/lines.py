"""Lines of styled text, safe to show: views build them in a worker thread, and a `LineView` draws them.

A line is a tuple of spans; a span is a text and its kind, one of `KINDS`. Builders pass message text through `safe`
when they make a span of it, so that drawing code need not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from tui.terminal.safe import fit, safe
from tui.terminal.widths import cell_len, get_character_cell_size

#: Kinds of spans: plain text, a label, less important text, emphasis, the severities, the accent colour.
KINDS = ("text", "label", "muted", "strong", "danger", "risk", "accent")


class Span(NamedTuple):
    """Text (safe to show, without line feeds) and its kind."""

    text: str
    kind: str = "text"


Line = tuple[Span, ...]
EMPTY: Line = ()


def wrap(text: str, width: int) -> list[str]:
    """Cut safe `text` (one line) into pieces of at most `width` cells, at blanks if possible.

    [""] for an empty text.
    """
    width = max(1, width)
    if text.isascii():
        if len(text) <= width:
            return [text]
        return list(_wrap_ascii(text, width))
    if len(text) <= width and cell_len(text) <= width:
        return [text]
    return list(_wrap_cells(text, width)) or [""]


def _wrap_ascii(text: str, width: int) -> Iterator[str]:
    start = 0
    while len(text) - start > width:
        cut = text.rfind(" ", start, start + width + 1)
        if cut <= start:
            cut = start + width
        yield text[start:cut].rstrip()
        start = cut + 1 if text[cut : cut + 1] == " " else cut
    yield text[start:]


def _wrap_cells(text: str, width: int) -> Iterator[str]:
    start = used = 0
    blank = -1
    at = 0
    while at < len(text):
        character = text[at]
        cells = get_character_cell_size(character)
        if used + cells > width and at > start:
            cut = blank if blank > start else at
            yield text[start:cut].rstrip()
            start = at = cut + 1 if text[cut : cut + 1] == " " else cut
            used, blank = 0, -1
            continue
        if character == " ":
            blank = at
        used += cells
        at += 1
    yield text[start:]


def hang(text: str, width: int, indent: int) -> list[str]:
    """Wrap like `wrap`, and indent the pieces after the first by `indent` cells, if at most half of the width."""
    pieces = wrap(text, width)
    if len(pieces) == 1 or not 0 < indent <= width // 2:
        return pieces
    following = text[len(pieces[0]) :].lstrip(" ")
    return [pieces[0], *(" " * indent + piece for piece in wrap(following, width - indent))]


def wrap_within(text: str, width: int, most: int) -> str:
    """Wrap safe `text` to at most `most` lines; if that is not all of it, the last one ends with an ellipsis."""
    pieces = wrap(text, width)
    if len(pieces) > most:
        pieces[most - 1 :] = [fit(" ".join(pieces[most - 1 : most + 1]), width).rstrip()]
    return "\n".join(pieces)


def wrap_spans(spans: list[Span], width: int) -> list[Line]:
    """Wrap a line of safe spans of several kinds as one text."""
    if len(spans) == 1:
        return [(Span(piece, spans[0].kind),) for piece in wrap(spans[0].text, width)]
    text = "".join(span.text for span in spans)
    ends = list(accumulate(len(span.text) for span in spans))
    lines: list[Line] = []
    at = number = 0
    for piece in wrap(text, width):
        at = text.index(piece, at)
        stop = at + len(piece)
        parts: list[Span] = []
        while number < len(spans) and ends[number] <= at:
            number += 1
        while at < stop:
            end = min(stop, ends[number])
            parts.append(Span(text[at:end], spans[number].kind))
            at = end
            if at == ends[number]:
                number += 1
        lines.append(tuple(parts))
    return lines


def block(text: str, width: int, kind: str = "text") -> list[Line]:
    """Make message text safe and wrap it into lines of one kind. Its own line feeds are kept."""
    return [(Span(piece, kind),) for line in safe(text, multiline=True).split("\n") for piece in wrap(line, width)]


def field(
    label: str, values: Iterable[tuple[str, str]], width: int, label_width: int, *, indent: int = 0
) -> list[Line]:
    """Write a label, wrapped in its column, beside values (message text, kind), each on a line of its own.

    The further lines of a value are indented by `indent` cells. Without any value a dash is shown.
    """
    gap = 2
    room = max(8, width - label_width - gap)
    right: list[Span] = []
    for text, kind in values:
        right += [Span(piece, kind) for piece in hang(safe(text), room, indent)]
    left = wrap(label, label_width)
    lines: list[Line] = []
    for row in range(max(len(left), len(right), 1)):
        name = left[row] if row < len(left) else ""
        value = right[row] if row < len(right) else Span("" if right else "—" if row == 0 else "", "muted")
        lines.append((Span(name + " " * (label_width - cell_len(name) + gap), "label"), value))
    return lines
