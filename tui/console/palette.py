"""The command palette: every action of the key map by its words; what is not possible now says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tui.console.keys.keymap import Key

if TYPE_CHECKING:
    from tui.console.app import MailholdApp


_KEYS = 5


class ActionProvider(Provider):
    """Offers the actions that work where the console is now."""

    @property
    def _console(self) -> MailholdApp:
        return cast("MailholdApp", self.app)

    def _offered(self) -> Iterator[tuple[Key, str | None]]:
        """Each action, and why it is not possible now."""
        main = self._console.main
        for key in main.actions_here():
            reason = main.cannot(key.id)
            yield key, f"{' ' * _KEYS}not possible now: {reason}" if reason else None

    def _line(self, key: Key, text: Content, possible: bool) -> Content:
        drawn = self._console.main.keymap.drawn(key)
        line = Content.assemble((drawn.ljust(_KEYS), "bold $accent"), text)
        return line if possible else line.stylize("$text-disabled")

    async def discover(self) -> Hits:
        """Everything there is to do."""
        for key, reason in self._offered():
            line = self._line(key, Content(key.text), reason is None)
            yield DiscoveryHit(line, self._runner(key), key.text, help=reason)

    async def search(self, query: str) -> Hits:
        """What matches the typed words."""
        matcher = self.matcher(query)
        for key, reason in self._offered():
            if (score := matcher.match(key.text)) > 0:
                line = self._line(key, matcher.highlight(key.text), reason is None)
                yield Hit(score, line, self._runner(key), key.text, help=reason)

    def _runner(self, key: Key) -> Callable[[], None]:
        def run() -> None:
            self._console.call_later(self._console.main.run_key, key)

        return run
