"""The help: every key there is, made from the key map, those of where the focus is first."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from itertools import zip_longest

from textual import events
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from store.filters import FIELDS
from tui.dialogs.base import Dialog
from tui.keymap import Key, Keymap, Scope, keys_of
from tui.widgets.controls import PushButton
from tui.widths import cell_len

_KEYS = 14
_WIDTH = 68
_TWO_COLUMNS = 124


class HelpDialog(Dialog[None]):
    """Lists the keys by where they work; what is not possible now says why. Any of Esc, q, ? and Enter closes it."""

    DEFAULT_CSS = """
    HelpDialog {
        & > #dialog { width: 76; }
        &.-wide > #dialog { width: 150; }
        #left, #right { width: 1fr; height: auto; }
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
        wide = self.app.size.width >= _TWO_COLUMNS
        self.set_class(wide, "-wide")
        blocks = [self._block(scope) for scope in sorted(Scope, key=lambda one: one is not self.scope_first)]
        blocks.append(self._filter_block())
        self.query_one("#text", Static).update(_two_columns(blocks, 72) if wide else _one_column(blocks))

    def _block(self, scope: Scope) -> list[Content]:
        return [Content(scope.value).stylize("bold $accent"), *(self._line(key) for key in keys_of(scope))]

    def _line(self, key: Key) -> Content:
        reason = self.cannot(key.id)
        line = _entry(self.keymap.drawn(key, all_keys=True), key.text if reason is None else f"{key.text} ({reason})")
        return line if reason is None else line.stylize("$text-disabled")

    def _filter_block(self) -> list[Content]:
        lines = [Content("The filter's words").stylize("bold $accent")]
        for name, says in FIELDS.items():
            lines.append(_entry(f"{name}:", says))
        lines.append(_entry("word", "part of From, To or Subject"))
        lines.append(_entry("-", "before any of them: must not be found"))
        return lines

    def on_key(self, event: events.Key) -> None:
        if event.key in ("q", "question_mark"):
            self.action_cancel()

    def accept(self) -> None:
        self.dismiss(None)


def _entry(name: str, text: str) -> Content:
    """A line of the help: a name in bold, and a text that is wrapped beside it."""
    wrapped = f"\n{' ' * _KEYS}".join(textwrap.wrap(text, _WIDTH - _KEYS))
    return Content.assemble((name, "bold"), " " * max(1, _KEYS - cell_len(name)), wrapped)


def _one_column(blocks: list[list[Content]]) -> Content:
    return Content("\n\n").join([Content("\n").join(block) for block in blocks])


def _two_columns(blocks: list[list[Content]], width: int) -> Content:
    """The blocks in two columns of about the same height, in order."""
    blocks = [[line for entry in block for line in entry.split("\n")] for block in blocks]
    half = sum(len(block) + 1 for block in blocks) / 2
    columns: list[list[Content]] = [[], []]
    for block in blocks:
        side = 0 if len(columns[0]) + len(block) / 2 <= half and not columns[1] else 1
        columns[side] += [*block, Content("")]
    empty = Content("")
    lines = []
    for left, right in zip_longest(*columns, fillvalue=empty):
        cut = left.truncate(width - 2, ellipsis=True)
        lines.append(cut.extend_right(width - cut.cell_length) + right)
    return Content("\n").join(lines)
