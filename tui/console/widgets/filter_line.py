"""The filter line: the active filter as text, applied while it is typed, with the counts beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, Static

from tui.console.keys.keymap import Scope, bindings
from tui.terminal.safe import fit, safe_content
from tui.terminal.widths import cell_len


class FilterInput(Input, inherit_css=False):
    """The text of the filter. Enter and down move to the list; Esc clears the text."""

    DEFAULT_CSS = """
    FilterInput {
        width: 1fr; height: 1; background: $background; color: $foreground; scrollbar-size-horizontal: 0; pointer: text;
        & > .input--cursor { text-style: reverse; }
        & > .input--selection { background: $input-selection-background; color: $input-selection-foreground; }
        & > .input--placeholder, & > .input--suggestion { color: $text-muted; text-style: italic; }
        &:focus { background: $panel; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = Input.COMPONENT_CLASSES
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.FILTER)
    scope = Scope.FILTER
    #: Without a new layout at each letter: the place of the field does not depend on its text.
    virtual_size = Reactive(Size(0, 0))

    class Left(Message):
        """The user has finished typing."""

    def __init__(self, edited: Callable[[str], None], *, placeholder: str = "", id: str | None = None) -> None:
        """Set up the field.

        `edited` is called at once with an edited text: the query runs while the letter is painted.
        """
        super().__init__(placeholder=placeholder, id=id, select_on_focus=False)
        self.cursor_blink = False
        self._edited = edited
        self._taken = ""

    def render_line(self, y: int) -> Strip:
        """Cut what does not fit with an ellipsis: the hint, and unless the user types there, the text."""
        room = self.scrollable_content_region.width
        text = self.value or self.placeholder
        if y or cell_len(text) <= room or (self.value and self.has_focus):
            return super().render_line(y)
        if self.value:
            return Strip([Segment(fit(text, room) + " ")]).apply_style(self.rich_style)
        hint, shown = self.get_component_rich_style("input--placeholder"), fit(_words_within(text, room), room) + " "
        first = self.get_component_rich_style("input--cursor") if self.has_focus else hint
        return Strip([Segment(shown[:1], first), Segment(shown[1:], hint)]).apply_style(self.rich_style)

    def take(self, text: str) -> None:
        """Set the text without calling `edited`."""
        self._taken = self.value = text
        self.cursor_position = len(text)

    def watch_value(self, value: str) -> None:
        if value != self._taken:
            self._taken = value
            self._edited(value)

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def action_clear(self) -> None:
        self.value = ""
        self.post_message(self.Left())


def _words_within(text: str, room: int) -> str:
    """Return the first words that fit with an ellipsis behind them."""
    words = text.split(" ")
    while len(words) > 1 and cell_len(" ".join(words)) > room - 2:
        words.pop()
    return " ".join(words if words[-1] == "…" else [*words, "…"])


def counts_room(width: int) -> int:
    """Return how many cells the counts have in a filter line of this width."""
    return (width - 1) * 6 // 10 - 2  # as in the styles below


class Counts(Widget):
    """The counts. A new text of the same width repaints only these few cells."""

    DEFAULT_CSS = """
    Counts { width: auto; max-width: 60%; height: 1; padding: 0 0 0 2; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._content = Content("")

    def show(self, content: Content) -> None:
        """Set the counts."""
        if content.markup != self._content.markup:
            wider = content.cell_length != self._content.cell_length
            self._content = content
            self.refresh(layout=wider)

    def render(self) -> Content:
        return self._content


class FilterLine(Vertical):
    """The text on the left, the counts on the right, and on lines of their own below what is wrong with the text."""

    DEFAULT_CSS = """
    FilterLine {
        height: auto; padding: 0 1 0 0; background: $background;
        & > #filter-row { height: 1; }
        #filter-sign { width: 2; color: $accent; }
        & > #filter-problem { height: auto; padding: 0 0 0 2; color: $danger; display: none; }
    }
    """

    class Done(Message):
        """The user wants to go to the list."""

    def __init__(self, edited: Callable[[str], None], *, id: str | None = None) -> None:
        """Set up the line. `edited` is called with the text whenever the user changes it."""
        super().__init__(id=id)
        self._edited = edited

    def compose(self) -> ComposeResult:
        self.counts = Counts(id="counts")
        self.input = FilterInput(
            self._edited, placeholder="from: to: subject: scan: period: … or words", id="filter-text"
        )
        self.problem = Static(id="filter-problem", markup=False)
        with Horizontal(id="filter-row"):
            yield Static("/", id="filter-sign", markup=False)
            yield self.input
            yield self.counts
        yield self.problem

    @property
    def text(self) -> str:
        """The text of the line."""
        return self.input.value

    def show_text(self, text: str) -> None:
        """Set the text for a filter that was not typed here."""
        if self.text != text:
            self.input.take(text)

    def show_counts(self, counts: Content) -> None:
        """Set the counts."""
        self.counts.show(counts)

    def show_problem(self, text: str) -> None:
        """Show what is wrong with the text, in full; "" removes the message."""
        self.problem.update(safe_content(f"▲ {text}") if text else "")
        self.problem.display = bool(text)

    def focus_text(self) -> None:
        """Focus the text, with the cursor at its end."""
        line = self.input
        self.screen.set_focus(line)  # now, not after the next refresh, so that keys typed ahead land in it
        line.cursor_position = 0  # so that the next line scrolls to the end even if the cursor is there
        line.cursor_position = len(line.value)

    def on_filter_input_left(self, event: FilterInput.Left) -> None:
        event.stop()
        self.post_message(self.Done())

    def on_click(self, event: events.Click) -> None:
        if event.widget is not None and event.widget.id == "filter-sign":
            self.focus_text()
