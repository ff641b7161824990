"""Small controls shared by dialogs and pages: push button, check box, choice, one-line field.

Each is one line high if it fits, has no border, and shows focus by reverse video, so that it works without colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Button, Input

#: Cells of a box or circle with the blank after it, and of the gap between two options.
_BOX, _APART = 4, 2


class PushButton(Button, inherit_css=False):
    """A one-line button, drawn ``[ Label ]``. Enter, Space or a click presses it; no letter does."""

    DEFAULT_CSS = """
    PushButton {
        width: auto; height: 1; margin: 0 2 0 0; pointer: pointer;
        &:hover { text-style: bold; }
        &:focus { color: $accent; text-style: reverse; }
        &:disabled:can-focus { color: $text-disabled; text-style: italic; opacity: 1; pointer: not-allowed; }
        &.-error { color: $text-error; }
        &.-error:focus { color: $text-error; text-style: reverse; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "press", "Press", show=False),
        Binding("right", "app.focus_next", "Next", show=False),
        Binding("left", "app.focus_previous", "Previous", show=False),
    ]

    def __init__(self, label: str, *, id: str | None = None, danger: bool = False) -> None:
        drawn = Content.assemble("[ ", label, " ]")
        super().__init__(drawn, "error" if danger else "default", id=id)
        self.text = label
        self.active_effect_duration = 0
        #: Width of the drawn label.
        self.cells = drawn.cell_length

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return self.cells


class CheckBox(Widget, can_focus=True):
    """A check box ``[x] label``, on several lines if needed; Space or a click toggles it. Posts `Changed`.

    If it is checked and `partial` it is drawn ``[-]``: only a part of the items below it is ticked.
    """

    #: The keys, in words, for the window's edge.
    key_words: ClassVar[tuple[str, ...]] = ("Space tick",)
    DEFAULT_CSS = """
    CheckBox {
        width: auto; max-width: 100%; height: auto; pointer: pointer;
        &:focus { color: $accent; text-style: reverse; }
        &:disabled:can-focus { color: $text-disabled; text-style: italic; opacity: 1; pointer: not-allowed; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "check", "Check", show=False)]

    value: reactive[bool] = reactive(False, init=False)
    partial: reactive[bool] = reactive(False, init=False)

    class Changed(Message):
        """The box was checked or cleared."""

        def __init__(self, box: CheckBox, value: bool) -> None:
            super().__init__()
            self.box = box
            self.value = value

        @property
        def control(self) -> CheckBox:
            return self.box

    def __init__(self, label: str | Content, value: bool = False, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.label = label if isinstance(label, Content) else Content(label)
        self.set_reactive(CheckBox.value, value)

    def _lines(self, width: int) -> list[Content]:
        return list(self.label.wrap(max(1, width - _BOX)))

    def render(self) -> Content:
        label = Content(f"\n{' ' * _BOX}").join(self._lines(self.size.width))
        box = ("[-] " if self.partial else "[x] ") if self.value else "[ ] "
        return Content.assemble(box, label)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return _BOX + self.label.cell_length

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def watch_value(self, value: bool) -> None:
        self.post_message(self.Changed(self, value))

    def action_check(self) -> None:
        self.value = not self.value

    def on_click(self) -> None:
        self.action_check()


class Choice(Widget, can_focus=True):
    """One of a few options, ``(•) Yes  ( ) No``, on one line if they fit. Left, right and Space choose."""

    #: The keys, in words, for the window's edge.
    key_words: ClassVar[tuple[str, ...]] = ("←→ choose",)
    DEFAULT_CSS = """
    Choice {
        width: 1fr; height: auto;
        & > .choice--chosen { color: $accent; text-style: reverse; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"choice--chosen"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Previous", show=False),
        Binding("right,space", "move(1)", "Next", show=False),
    ]

    index: reactive[int] = reactive(0, init=False)

    class Changed(Message):
        """Another option was chosen; `index` is its index."""

        def __init__(self, choice: Choice, index: int) -> None:
            super().__init__()
            self.choice = choice
            self.index = index

        @property
        def control(self) -> Choice:
            return self.choice

    def __init__(self, options: Sequence[str], index: int = 0, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.options = tuple(options)
        self.set_reactive(Choice.index, index)

    def _lines(self, width: int) -> list[list[int]]:
        """Return the indexes of the options on each line."""
        lines: list[list[int]] = [[]]
        used = 0
        for place, option in enumerate(self.options):
            cells = len(option) + _BOX
            if lines[-1] and used + cells > width:
                lines.append([])
                used = 0
            lines[-1].append(place)
            used += cells + _APART
        return lines

    def render(self) -> Content:
        chosen = self.get_visual_style("choice--chosen", partial=True)
        options = [
            Content(f"({'•' if place == self.index else ' '}) {each}") for place, each in enumerate(self.options)
        ]
        if self.has_focus:
            options[self.index] = options[self.index].stylize(chosen)
        lines = [Content(" " * _APART).join(options[place] for place in line) for line in self._lines(self.size.width)]
        return Content("\n").join(lines)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def watch_index(self, index: int) -> None:
        self.post_message(self.Changed(self, index))

    def action_move(self, step: int) -> None:
        self.index = (self.index + step) % len(self.options)

    def on_click(self, event: events.Click) -> None:
        lines = self._lines(self.size.width)
        start = 0
        for place in lines[event.y] if 0 <= event.y < len(lines) else ():
            end = start + len(self.options[place]) + _BOX
            if start <= event.x < end:
                self.index = place
            start = end + _APART


class Field(Input, inherit_css=False):
    """A one-line text field without a border: a tick at either end shows its extent."""

    DEFAULT_CSS = """
    Field {
        width: 1fr; height: 1; background: $panel; color: $foreground; scrollbar-size-horizontal: 0; pointer: text;
        border-left: vkey $text-disabled; border-right: vkey $text-disabled;
        &>.input--cursor { text-style: reverse; }
        &>.input--selection { background: $input-selection-background; color: $input-selection-foreground; }
        &>.input--placeholder, &>.input--suggestion { color: $text-muted; text-style: italic; }
        &:focus { background-tint: $accent 12%; border-left: vkey $accent; border-right: vkey $accent; }
        &:disabled:can-focus { color: $text-disabled; text-style: italic; opacity: 1; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = Input.COMPONENT_CLASSES

    def __init__(
        self, value: str = "", *, placeholder: str = "", id: str | None = None, password: bool = False
    ) -> None:
        super().__init__(value, placeholder=placeholder, id=id, password=password, select_on_focus=False)
        self.cursor_blink = False
