"""Foresees the next letter of the filter line: after each one typed, when its result was shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.console.context import ConsoleContext

if TYPE_CHECKING:
    from store.catalogue.foresight import Foresight


class TypingOn:
    """Looks for what the text may become with one more letter. Call its methods on the event loop's thread."""

    def __init__(self, context: ConsoleContext) -> None:
        self._context = context
        self._text = ""
        #: What a letter was typed at the end of, until its result is shown.
        self._typed = ""
        self._foresight: Foresight | None = None

    def edited(self, text: str) -> None:
        """Note the text of the filter line."""
        self._typed = text if text[:-1] == self._text else ""
        self._text = text

    def shown(self, found: int) -> None:
        """Note that the result was painted, with this many copies."""
        typed, self._typed = self._typed, ""
        if typed:
            self._context.shell.background(
                lambda: self._foresee(typed, found), _ignored, on_error=_ignored, group="foresee"
            )

    def _foresee(self, text: str, found: int) -> None:
        if not self._context.catalogue.complete:
            return
        if self._foresight is None:
            from store.catalogue.foresight import Foresight

            self._foresight = Foresight(self._context.catalogue)
        self._foresight.foresee(text, found, self._context.parse)


def _ignored(_: object) -> None:
    """Pass nothing on: without foresight, the next letter takes longer. Its own query tells of an error."""
