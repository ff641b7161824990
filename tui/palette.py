"""The command palette: every action of the key map by its words; what is not possible now says why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui.keymap import Key

if TYPE_CHECKING:
    from tui.app import MailholdApp


class ActionProvider(Provider):
    """Offers the actions that work where the console is now."""

    @property
    def _console(self) -> MailholdApp:
        return cast("MailholdApp", self.app)

    def _offered(self) -> Iterator[tuple[Key, str, str]]:
        main = self._console.main
        for key in main.actions_here():
            reason = main.cannot(key.id)
            drawn = main.keymap.drawn(key)
            help_text = f"not possible now: {reason}" if reason else f"key {drawn}"
            yield key, key.text, help_text

    async def discover(self) -> Hits:
        """Everything there is to do."""
        for key, text, help_text in self._offered():
            yield DiscoveryHit(text, self._runner(key), help=help_text)

    async def search(self, query: str) -> Hits:
        """What matches the typed words."""
        matcher = self.matcher(query)
        for key, text, help_text in self._offered():
            if (score := matcher.match(text)) > 0:
                yield Hit(score, matcher.highlight(text), self._runner(key), help=help_text)

    def _runner(self, key: Key):  # type: ignore[no-untyped-def]
        def run() -> None:
            self._console.call_later(self._console.main.run_key, key)

        return run
