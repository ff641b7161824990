"""Draws rows of the message list as strips, in columns, and caches the strips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from store.mail.outcome import Delivered
from store.terms.records import Row
from store.terms.sender import address_first
from tui.console.text.columns import DIFFERS, SHORT_ENGINES, Column, columns, severity, status_label
from tui.console.widgets.found import split_found
from tui.terminal.cells import placed, short_size
from tui.terminal.outcome_words import SIGNS
from tui.terminal.safe import fit

_SIGNS = {"danger": "▲", "risk": "△", "policy": " ", "bulk": " "}
_KEPT = 512
#: Columns with text from messages; all others have only characters of one cell.
_FOREIGN = frozenset({"from", "to", "subject"})


class RowPainter:
    """Draws rows. `component` returns a style by its name (partial or whole).

    Call `forget` after changing a public attribute. `now`: time (Unix ms) for relative dates; `outcomes`: outcome by id
    of released copies; `needles`: folded search terms by column, which are underlined.
    """

    def __init__(self, component: Callable[[str, bool], Style], tz: tzinfo) -> None:
        self.tz = tz
        self.now = 0
        self.outcomes: Mapping[int, Delivered] = {}
        self.needles: Mapping[str, Sequence[str]] = {}
        self.columns: list[Column] = []
        self.width = 0
        self._names_engine = False
        self._component = component
        self._strips: dict[tuple[int, bool, str], Strip] = {}
        self._styles: dict[tuple[str, str], Style] = {}

    def forget(self, *, styles: bool = False) -> None:
        """Drop the cached strips; with `styles`, also the cached styles."""
        self._strips.clear()
        if styles:
            self._styles.clear()

    def set_width(self, width: int) -> None:
        """Choose the columns for a width (cells)."""
        if width != self.width:
            self.width, self.columns = width, columns(width)
            self._names_engine = any(column.name == "engine" for column in self.columns)
            self.forget()

    def row(self, row: Row, *, marked: bool, state: str) -> Strip:
        """Draw a row. `state` is "", "cursor" or "cursor-focus"."""
        key = (row.id, marked, state)
        strip = self._strips.get(key)
        if strip is None:
            if len(self._strips) > _KEPT:
                self._strips.clear()
            strip = self._strips[key] = self._draw(row, marked, state)
        return strip

    def text(self, text: str, state: str = "") -> Strip:
        """Draw a line that is not a row: a placeholder or a hint."""
        return Strip([Segment(fit(f"  {text}", self.width), self._style("muted", state))], self.width)

    def blank(self) -> Strip:
        """Draw an empty line."""
        return Strip.blank(self.width, self._style("text", ""))

    def _style(self, name: str, state: str) -> Style:
        if (name, state) not in self._styles:
            over = self._component(state, True) if state else Style.null()
            base, _, found = name.partition(" ")
            # In reverse video, several colours look like patchwork: draw the whole row in the text's colour.
            style = self._component("text" if over.reverse else base, False)
            if found:
                style += self._component("found", True)
            self._styles[name, state] = style + over
        return self._styles[name, state]

    def _cell(self, column: Column, row: Row, marked: bool) -> tuple[str, str]:
        """Return a column's text for a row, and the name of its style."""
        level = severity(row.status)
        match column.name:
            case "mark":
                return ("●" if marked else " "), "mark"
            case "placed":
                return placed(row.stored_at, self.now, self.tz, column.width), "muted"
            case "outcome":
                return SIGNS[self.outcomes.get(row.id, Delivered.NO)]
            case "sign":
                return _SIGNS[level], level
            case "engine":
                return (SHORT_ENGINES[row.engine] if row.engine else ""), "muted"
            case "status":
                engine = None if self._names_engine else row.engine
                return (status_label(row.status, column.width, engine) if row.status else ""), level
            case "from":
                return address_first(row.from_), "text"
            case "to":
                return row.to, "muted"
            case "subject":
                return row.subject, "text"
            case "size":
                return short_size(row.size), "muted"
            case _:
                return (str(row.rule_id) if row.rule_id else ""), "muted"

    def _draw(self, row: Row, marked: bool, state: str) -> Strip:
        # Merge neighbours of one style into one segment: that sends fewer escape sequences over a slow line.
        parts: list[tuple[str, str, bool]] = []

        def put(text: str, name: str, found: bool = False) -> None:
            if parts and not found and not parts[-1][2] and (parts[-1][1] == name or text.isspace()):
                parts[-1] = (parts[-1][0] + text, parts[-1][1], False)
            elif parts and not found and parts[-1][0].isspace():
                parts[-1] = (parts[-1][0] + text, name, False)
            else:
                parts.append((text, name, found))

        x = 0
        for column in self.columns:
            text, name = self._cell(column, row, marked)
            if column.x > x:
                put(" " * (column.x - x), name)
            x = column.x + column.width
            if column.name in _FOREIGN:
                sign = f" {DIFFERS}" if column.name == "from" and row.sender_differs else ""
                text = fit(text, column.width - len(sign))
                for piece, found in split_found(text, self.needles.get(column.name, ())):
                    put(piece, name, found)
                if sign:
                    put(sign, "muted")
            else:
                text = text.rjust(column.width) if column.right else text.ljust(column.width)
                put(text if len(text) == column.width else fit(text, column.width), name)
        segments = [
            Segment(text, self._style(f"{name} found" if found else name, state)) for text, name, found in parts
        ]
        strip = Strip(segments, x)
        return strip if x == self.width else strip.adjust_cell_length(self.width, self._style("text", state))
