"""A row of tabs, one of which is chosen."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class TabStrip(Widget):
    """Tabs as ``Message  Text  Headers``, the chosen one in reverse. A click chooses; the parent handles keys."""

    DEFAULT_CSS = """
    TabStrip { height: 1; width: 1fr; color: $text-muted; }
    """

    chosen: reactive[int] = reactive(0, init=False)

    class Chosen(Message):
        """Another tab was chosen."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, names: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.names = list(names)
        self._first = tuple(names)

    def rename(self, names: Sequence[str]) -> None:
        """Rename the tabs, for example to add a count. Without room for all, the last ones keep their first names."""
        self.names = list(names)
        self.refresh()

    def _shown(self) -> list[str]:
        """Return the names that fit."""
        shown = list(self.names)
        for index in reversed(range(len(shown))):
            if sum(len(name) + 2 for name in shown) <= self.size.width:
                break
            shown[index] = self._first[index]
        return shown

    def render(self) -> Content:
        return Content.assemble(
            *(
                (f" {name} ", "bold reverse $accent" if index == self.chosen else "")
                for index, name in enumerate(self._shown())
            )
        )

    def watch_chosen(self, chosen: int) -> None:
        self.post_message(self.Chosen(chosen))

    def move(self, step: int) -> None:
        """Choose the tab `step` places on, wrapping around."""
        self.chosen = (self.chosen + step) % len(self.names)

    def on_click(self, event: events.Click) -> None:
        start = 0
        for index, name in enumerate(self._shown()):
            if start <= event.x < start + len(name) + 2:
                self.chosen = index
                return
            start += len(name) + 2
