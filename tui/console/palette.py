"""The command palette: every action of the key map by its words, with the reason if it is not possible now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tui.console.keys.keymap import Key, Keymap

_KEYS = 5


class Commander(Protocol):
    """The screen whose actions the palette offers."""

    keymap: Keymap

    def actions_here(self) -> list[Key]:
        """List the actions that work in the focused scope."""

    def cannot(self, action: str) -> str | None:
        """Return why an action of the key map is not possible now, or None."""

    async def run_key(self, key: Key) -> None:
        """Run a key's action."""


class ActionProvider(Provider):
    """Offers the actions that work in the focused scope."""

    @property
    def _commander(self) -> Commander:
        return cast("Commander", self.screen)

    def _offered(self) -> Iterator[tuple[Key, str | None]]:
        """Yield each action, and why it is not possible now."""
        for key in self._commander.actions_here():
            reason = self._commander.cannot(key.id)
            yield key, f"{' ' * _KEYS}unavailable: {reason}" if reason else None

    def _line(self, key: Key, text: Content, possible: bool) -> Content:
        drawn = self._commander.keymap.drawn(key)
        line = Content.assemble((drawn.ljust(_KEYS), "bold $accent"), text)
        return line if possible else line.stylize("italic $text-muted")

    async def discover(self) -> Hits:
        """Yield all actions."""
        for key, reason in self._offered():
            line = self._line(key, Content(key.text), reason is None)
            yield DiscoveryHit(line, self._runner(key), key.text, help=reason)

    async def search(self, query: str) -> Hits:
        """Yield the actions that match the typed words."""
        matcher = self.matcher(query)
        for key, reason in self._offered():
            if (score := matcher.match(key.text)) > 0:
                line = self._line(key, matcher.highlight(key.text), reason is None)
                yield Hit(score, line, self._runner(key), key.text, help=reason)

    def _runner(self, key: Key) -> Callable[[], None]:
        def run() -> None:
            self.app.call_later(self._commander.run_key, key)

        return run
