"""A choice of several options in few cells: ``‹ Delete message ›``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class Cycle(Widget, can_focus=True):
    """Shows the chosen option; left, right, Space and a click choose another one."""

    #: The keys, in words, for the window's edge.
    key_words: ClassVar[tuple[str, ...]] = ("←→ choose",)
    DEFAULT_CSS = """
    Cycle {
        width: auto; height: 1; pointer: pointer;
        & > .cycle--arrow { color: $text-muted; }
        &:focus { color: $accent; text-style: reverse; }
        &:focus > .cycle--arrow { color: $accent; text-style: reverse; }
        &:disabled:can-focus { color: $text-disabled; text-style: italic; opacity: 1; pointer: not-allowed; }
        &:disabled > .cycle--arrow { color: $text-disabled; text-style: italic; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"cycle--arrow"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Previous", show=False),
        Binding("right,space", "move(1)", "Next", show=False),
    ]

    index: reactive[int] = reactive(0, init=False)

    class Changed(Message):
        """Another option was chosen; `index` is its index."""

        def __init__(self, cycle: Cycle, index: int) -> None:
            super().__init__()
            self.cycle = cycle
            self.index = index

        @property
        def control(self) -> Cycle:
            return self.cycle

    def __init__(self, options: Sequence[str], index: int = 0, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.options = tuple(options)
        self.set_reactive(Cycle.index, index)
        self._width = max(map(len, self.options))

    def render(self) -> Content:
        arrow = self.get_visual_style("cycle--arrow", partial=True)
        return Content.assemble(("‹ ", arrow), self.options[self.index].ljust(self._width), (" ›", arrow))

    def get_content_width(self, container: object, viewport: object) -> int:
        return self._width + 4

    def watch_index(self, index: int) -> None:
        self.post_message(self.Changed(self, index))

    def action_move(self, step: int) -> None:
        self.index = (self.index + step) % len(self.options)

    def on_click(self, event: events.Click) -> None:
        if not self.disabled:
            self.action_move(-1 if event.x < 2 else 1)
