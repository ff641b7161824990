"""The footer: the keys of the focused scope. Keys that are not possible now are faint, and their tooltip says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui.console.keys.keymap import Key, Keymap, Scope, by_id, keys_of

#: Shown in every scope, at the right end.
ALWAYS = ("tree", "help")


class KeysChanged(Message):
    """Ask the footer to update: which keys are possible has changed."""


class KeyFooter(Widget):
    """One line of keys. If there is no room, keys are left out from the right, but never Back and Help."""

    DEFAULT_CSS = """
    KeyFooter {
        dock: bottom; height: 1; padding: 0 1; background: $panel; color: $foreground;
        & > .key-footer--key { color: $accent; text-style: bold; }
        & > .key-footer--off { color: $text-disabled; text-style: italic; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-footer--key", "key-footer--off"}

    #: True while a window covers the screen: its keys do nothing then, so none are shown.
    covered: reactive[bool] = reactive(False)

    class Pressed(Message):
        """A key in the footer was clicked."""

        def __init__(self, key: Key) -> None:
            super().__init__()
            self.key = key

    def __init__(
        self,
        keymap: Keymap,
        cannot: Callable[[str], str | None],
        label: Callable[[Key], str] = lambda key: key.label,
        *,
        id: str | None = None,
    ) -> None:
        """Set up the footer. `label` returns the present label of a key."""
        super().__init__(id=id)
        self.keymap = keymap
        self.cannot = cannot
        self._label = label
        self._labels: tuple[str, ...] = ()
        self._shown: tuple[Key, ...] = ()
        self._off: frozenset[str] = frozenset()
        self._spans: list[tuple[int, int, Key]] = []

    def show(self, scope: Scope) -> None:
        """Show the keys of a scope; repaint only if something differs."""
        shown = tuple(key for key in keys_of(scope) if key.label) + tuple(by_id()[name] for name in ALWAYS)
        off = frozenset(key.id for key in shown if self.cannot(key.id) is not None)
        labels = tuple(map(self._label, shown))
        if (shown, off, labels) != (self._shown, self._off, self._labels):
            self._shown, self._off, self._labels = shown, off, labels
            self.refresh()

    def _fitting(self) -> list[Key]:
        width = self.size.width
        keys = list(self._shown)
        spare = [key for key in keys if key.id != "help" and not key.id.endswith("-back")]
        while spare and sum(len(self._text(key)) + 2 for key in keys) - 2 > width:
            keys.remove(spare.pop())
        return keys

    def _text(self, key: Key) -> str:
        return f"{self.keymap.drawn(key)} {self._label(key)}"

    def render(self) -> Content:
        key_style = self.get_visual_style("key-footer--key", partial=True)
        off_style = self.get_visual_style("key-footer--off", partial=True)
        parts: list[Content] = []
        self._spans, x = [], 0
        if self.covered:
            return Content("")
        for key in self._fitting():
            text = self._text(key)
            self._spans.append((x, x + len(text), key))
            x += len(text) + 2
            if key.id in self._off:
                parts.append(Content.styled(f"{text}  ", off_style))
            else:
                parts.append(Content.assemble((self.keymap.drawn(key), key_style), f" {self._label(key)}  "))
        return Content.assemble(*parts)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        key = self._at(event.x)
        self.tooltip = (self.cannot(key.id) or key.text) if key else None

    def on_click(self, event: events.Click) -> None:
        if key := self._at(event.x):
            self.post_message(self.Pressed(key))

    def _at(self, x: int) -> Key | None:
        return next((key for start, end, key in self._spans if start <= x - 1 < end), None)
