"""A short list to pick one line from: by its letter, with arrows and Enter, or by a click."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Generic, NamedTuple, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui.console.dialogs.base import Dialog
from tui.console.widgets.controls import PushButton

V = TypeVar("V")


class Pick(NamedTuple, Generic[V]):
    """A line: the letter that picks it, its label, a note beside it (safe text), and the value it stands for."""

    letter: str
    label: str
    note: str
    value: V


class PickList(Widget, can_focus=True):
    """The lines of a picker."""

    #: The keys, in words, for the window's edge.
    key_words: ClassVar[tuple[str, ...]] = ("↑↓ move", "Enter pick")
    DEFAULT_CSS = """
    PickList {
        height: auto; width: 1fr;
        & > .pick--letter { color: $accent; text-style: bold; }
        & > .pick--note { color: $text-muted; }
        & > .pick--cursor { background: $cursor; }
        &:ansi > .pick--cursor, &:nocolor > .pick--cursor { text-style: reverse; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"pick--letter", "pick--note", "pick--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("enter,space", "pick", "Pick", show=False),
    ]
    cursor: reactive[int] = reactive(0)

    class Picked(Message):
        """A line was picked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, lines: Sequence[tuple[str, str, str]], cursor: int = 0, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines = lines
        self.set_reactive(PickList.cursor, cursor)

    def render(self) -> Content:
        letter_style = self.get_visual_style("pick--letter", partial=True)
        note_style = self.get_visual_style("pick--note", partial=True)
        cursor_style = self.get_visual_style("pick--cursor", partial=True)
        room = max((len(label) for _, label, _ in self.lines), default=0)
        lines = []
        for index, (letter, label, note) in enumerate(self.lines):
            line = Content.assemble((f" {letter} ", letter_style), f" {label.ljust(room)}  ", (note, note_style))
            line = line.truncate(self.size.width, ellipsis=True).extend_right(
                max(0, self.size.width - line.cell_length)
            )
            lines.append(line.stylize(cursor_style) if index == self.cursor else line)
        return Content("\n").join(lines)

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return len(self.lines)

    def action_move(self, step: int) -> None:
        self.cursor = (self.cursor + step) % len(self.lines)

    def action_pick(self) -> None:
        self.post_message(self.Picked(self.cursor))

    def on_key(self, event: events.Key) -> None:
        for index, (letter, _, _) in enumerate(self.lines):
            if event.character == letter:
                event.stop()
                self.post_message(self.Picked(index))
                return

    def on_click(self, event: events.Click) -> None:
        if 0 <= event.y < len(self.lines):
            self.post_message(self.Picked(event.y))


class PickDialog(Dialog[V], Generic[V]):
    """A window with lines to pick from; returns the picked line's value, or None."""

    DEFAULT_CSS = """
    PickDialog > #dialog { width: 60; }
    """
    first_focus = "#picks"

    def __init__(self, picks: Sequence[Pick[V]], cursor: int = 0) -> None:
        super().__init__()
        self.picks = picks
        self.cursor_at = cursor

    def body(self) -> Iterable[Widget]:
        yield PickList([(pick.letter, pick.label, pick.note) for pick in self.picks], self.cursor_at, id="picks")

    def buttons(self) -> Iterable[PushButton]:
        yield PushButton("Cancel", id="cancel")

    def accept(self) -> None:
        self.query_one(PickList).action_pick()

    def on_pick_list_picked(self, event: PickList.Picked) -> None:
        event.stop()
        self.dismiss(self.picks[event.index].value)
