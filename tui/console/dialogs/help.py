"""The help window: all keys by scope, made from the key map; the focused scope comes first."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import NamedTuple

from textual import events
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from store.filters.line import FIELDS
from tui.console.dialogs.base import Dialog
from tui.console.keys.keymap import Key, Keymap, Scope, keys_of
from tui.console.widgets.controls import PushButton
from tui.terminal.outcome_words import MEANINGS, SIGNS
from tui.terminal.widths import cell_len

#: Widths (cells) of the key column and of the gap between two columns.
_KEYS, _GAP = 14, 2
#: Greatest window width (cells) with one and with two columns; terminal width from which there are two.
_ONE, _TWO, _TWO_COLUMNS = 76, 150, 124
#: Cells that frame, padding and scroll bar take of the window's width.
_FRAME = 7

#: Signs of the message list, with their meanings.
_SIGNS = (
    ("●", "marked"),
    ("▲", "infected or probably infected"),
    ("△", "phishing, malicious link, encrypted or corrupted"),
    *((SIGNS[outcome][0], meaning) for outcome, meaning in MEANINGS.items()),
    ("≠", "in From: the envelope sender is of another organisation, as in mailing lists and forged mail"),
    (
        "✗3 ?1 ◷2",
        "in the top line: failed, unknown and deferred deliveries, each counted until it is sent again, its "
        "recipients get the message by another delivery, or its copy is deleted",
    ),
)


class Entry(NamedTuple):
    """A line of the help: a key, sign or filter word, and its meaning. `possible`: the key would do something now."""

    name: str
    text: str
    possible: bool = True


class Block(NamedTuple):
    """A heading and its entries."""

    title: str
    entries: list[Entry]


class HelpDialog(Dialog[None]):
    """Lists the keys by scope; keys that are not possible now say why. Esc, q, ? or Enter closes it."""

    DEFAULT_CSS = """
    HelpDialog {
        & > #dialog { width: 76; }
        &.-wide > #dialog { width: 150; }
        #text { text-wrap: nowrap; }
    }
    """
    heading = "Help"
    acts = False
    esc_word = "close"
    first_focus = "#ok"

    def __init__(self, keymap: Keymap, cannot: Callable[[str], str | None], scope: Scope) -> None:
        super().__init__()
        self.keymap = keymap
        self.cannot = cannot
        self.scope_first = scope

    def body(self) -> Iterable[Widget]:
        yield Static(id="text", markup=False)

    def buttons(self) -> Iterable[PushButton]:
        yield PushButton("Close", id="ok")

    def on_mount(self) -> None:
        self._fill()

    def on_resize(self) -> None:
        self._fill()

    def _fill(self) -> None:
        screen = self.app.size.width
        wide = screen >= _TWO_COLUMNS
        self.set_class(wide, "-wide")
        width = min(screen, _TWO if wide else _ONE) - _FRAME
        lines = side_by_side(help_columns(self.blocks(), width, 2 if wide else 1))
        self.query_one("#text", Static).update(Content("\n").join(lines))

    def blocks(self) -> list[Block]:
        """Return the help's blocks, that of the focused scope first."""
        blocks = [self._block(scope) for scope in sorted(Scope, key=lambda one: one is not self.scope_first)]
        words = [
            *((f"{name}:", says) for name, says in FIELDS.items()),
            ("word", "part of From, To or Subject"),
            ("-", "before a word, a field or a group: excludes the copies that match; -(period:day) needs parentheses"),
            (",", "between alternatives of a field; rule:1 rule:2 means rule:1,2. Other words must all match"),
            ("or", "between alternatives; a b or c means (a b) or c"),
            ("( )", "a group, as in invoice (from:a or from:b)"),
            ('"…"', 'a text with spaces, colons or parentheses, or the word "or"'),
        ]
        return [*blocks, Block("Signs in the message list", _plain(_SIGNS)), Block("Filter words", _plain(words))]

    def _block(self, scope: Scope) -> Block:
        return Block(scope.value, [self._entry(key) for key in keys_of(scope)])

    def _entry(self, key: Key) -> Entry:
        reason = self.cannot(key.id)
        text = key.text if reason is None else f"{key.text} ({reason})"
        return Entry(self.keymap.drawn(key, all_keys=True), text, reason is None)

    def on_key(self, event: events.Key) -> None:
        if event.key in ("q", "question_mark"):
            self.action_cancel()

    def accept(self) -> None:
        self.dismiss(None)


def _plain(pairs: Iterable[tuple[str, str]]) -> list[Entry]:
    return [Entry(name, text) for name, text in pairs]


def _entry_lines(entry: Entry, width: int) -> list[Content]:
    """Write a bold name with its wrapped text beside it, or below it if the name is long."""
    texts = textwrap.wrap(entry.text, max(10, width - _KEYS), break_on_hyphens=False) or [""]
    if cell_len(entry.name) < _KEYS:
        names = [entry.name.ljust(_KEYS - cell_len(entry.name) + len(entry.name))]
    else:
        names = textwrap.wrap(entry.name, width, break_on_hyphens=False)
        texts = [*[""] * len(names), *texts]
    lines = []
    for name, text in zip_longest(names, texts, fillvalue=""):
        line = Content.assemble((name, "bold"), text) if name else Content(" " * _KEYS + text)
        lines.append(line if entry.possible else line.stylize("italic $text-disabled"))
    return lines


def help_columns(blocks: Sequence[Block], width: int, count: int) -> list[tuple[int, list[Content]]]:
    """Lay out the blocks, in order, in `count` columns of about equal height that together fit `width` cells.

    Returns each column's width and its lines, none of which is longer.
    """
    cells = width if count == 1 else (width - _GAP) // 2
    drawn = []
    for block in blocks:
        lines = [Content(block.title).stylize("bold $accent")]
        drawn.append([*lines, *(line for entry in block.entries for line in _entry_lines(entry, cells)), Content("")])
    half = sum(map(len, drawn)) / 2
    columns: list[list[Content]] = [[]]
    for lines in drawn:
        if count > len(columns) and columns[-1] and len(columns[-1]) + len(lines) / 2 > half:
            columns.append([])
        columns[-1] += lines
    return [(cells, lines[:-1]) for lines in columns]


def side_by_side(columns: Sequence[tuple[int, list[Content]]]) -> list[Content]:
    """Join the columns into lines."""
    lines = []
    for row in zip_longest(*(lines for _, lines in columns), fillvalue=Content("")):
        line = row[-1]
        for (cells, _), left in zip(columns[-2::-1], row[-2::-1], strict=True):
            line = left.extend_right(cells + _GAP - left.cell_length) + line
        lines.append(line)
    return lines
