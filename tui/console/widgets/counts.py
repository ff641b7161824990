"""The counts beside the filter line: copies listed, in Backup, marked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from textual.content import Content

from tui.console.widgets.pages import Result

if TYPE_CHECKING:
    from store.catalogue.columns import Reading

#: Between two pieces: with room, and without.
_GAP, _NEAR = "   ", " "
#: The pieces that become shorter without room, in this order; those that are short in a narrow list at once; and its
#: order.
_ORDER = (
    "zone",
    "reading",
    "gap",
    "gone",
    "shown",
    "marked",
    "unread",
    "shown",
    "reading",
    "marked",
    "range",
    "gone",
    "shown",
)
_NARROW = ("zone", "reading", "gone", "shown", "marked", "marked")
_NARROW_ORDER = ("unread", "shown", "reading", "range", "gone", "shown")


def loading_words(loaded: int, total: int, complete: bool, reading: Reading | None) -> tuple[str, str]:
    """Return what is being loaded ("" for the copies themselves) and the loaded share; both "" once all is loaded."""
    if not complete:
        return "", f"{100 * loaded // max(1, total)} %"
    return ("", "") if reading is None else (reading.what, reading.share)


class _Piece:
    """A piece of the counts: its texts from the longest to the shortest; "" at the end if it `may_go`."""

    def __init__(self, texts: list[str], style: str = "", *, may_go: bool = True) -> None:
        self._texts = [*texts, ""] if may_go or not texts else texts
        self._style = style

    def shorten(self) -> None:
        """Go on to the next shorter text."""
        self._texts = self._texts[1:] or self._texts

    @property
    def content(self) -> Content:
        """The present text, with its style."""
        content = Content(self._texts[0])
        return content.stylize(self._style) if self._style else content


def counts_line(
    result: Result,
    *,
    filtered: bool,
    problem: bool,
    loading: tuple[str, str],
    range_count: int,
    marked: int,
    outside: int,
    gone: int,
    zone: str,
    wide: bool,
    room: int,
) -> Content:
    """Write the counts for a list that shows `result`, in few words unless `wide`.

    Without `room` (cells) for all, what matters least is left out, always as a whole. `problem`: the filter line cannot
    be read; `loading`: from `loading_words`; `range_count`: rows in a range that is not ended; `outside`: marked copies
    that are not listed; `gone`: further marked copies that others deleted.
    """
    total, some = f"{result.total:,}", f"{result.count:,}{'+' if result.partial else ''}"
    every = f"{total} {'copy' if result.total == 1 else 'copies'}"
    what, share = loading
    hidden = f", {outside:,} not shown" if outside else ""
    dot = f"● {marked:,}"
    pieces = {
        "problem": _Piece(["▲ not read"] * problem, "$danger", may_go=False),
        "shown": _Piece(
            [f"{some} shown of {total}", f"{some} of {total}", some] if filtered else [every, every, total]
        ),
        "reading": _Piece([f"reading {what} {share}" if what else f"reading {share}", f"reading {share}"], "$muted")
        if share
        else _Piece([]),
        "unread": _Piece([f"{result.unread:,} not indexed"] * bool(result.unread), "$warning"),
        "range": _Piece([f"range of {range_count:,}"] * bool(range_count), "$accent"),
        "marked": _Piece(
            [f"{dot} marked{hidden}", f"{dot}{hidden}", dot] if marked else [], "bold $accent", may_go=False
        ),
        "gone": _Piece([f"{gone:,} marked {'is' if gone == 1 else 'are'} gone", f"{gone:,} gone"] if gone else []),
        "zone": _Piece([zone], "$muted"),
    }
    for name in () if wide else _NARROW:
        pieces[name].shorten()
    gap = _GAP if wide else _NEAR
    written = _written(pieces, gap)
    for name in _ORDER if wide else _NARROW_ORDER:
        if written.cell_length <= room:
            break
        if name == "gap":
            gap = _NEAR
        else:
            pieces[name].shorten()
        written = _written(pieces, gap)
    return written


def _written(pieces: Mapping[str, _Piece], gap: str) -> Content:
    return Content(gap).join([content for piece in pieces.values() if (content := piece.content)])
