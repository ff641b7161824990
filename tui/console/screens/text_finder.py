"""Finding a text in the lines of a message view's tab, from place to place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.filters.folding import fold
from tui.console.dialogs.find_text import FindTextDialog
from tui.console.text.places import Place, next_place, sought
from tui.terminal.safe import safe

if TYPE_CHECKING:
    from tui.console.context import Shell
    from tui.console.widgets.line_view import LineView

#: Most characters of the text in a notice.
_SHOWN = 40


class TextFinder:
    """The text that is looked for in a view. It stays for other tabs. The view has the place found last."""

    def __init__(self, shell: Shell, view: LineView) -> None:
        self._shell, self._view = shell, view
        self.text = ""
        self._search = 0

    def ask(self, tab: str) -> None:
        """Ask for a text, and go to its first place from the top of the view on."""

        def answered(text: str | None) -> None:
            if text is not None:
                self._look_for(text, tab)

        self._shell.ask(FindTextDialog(tab, self.text), answered)

    def _look_for(self, text: str, tab: str) -> None:
        self.text = text if sought(text) else ""
        self._view.underline((fold(self.text),) if self.text else ())
        if self.text:
            self.step(1, tab)

    def step(self, step: int, tab: str) -> None:
        """Go to the next place (the previous one with -1), at the end to the first one. Asks if there is no text."""
        if not self.text:
            self.ask(tab)
            return
        self._search += 1
        search, lines, needle = self._search, self._view.lines, sought(self.text)
        before = self._view.place
        start = round(self._view.scroll_y) if before is None else before.first + (step > 0)

        def wanted() -> bool:
            return search == self._search and self._view.is_attached

        def find() -> tuple[Place | None, bool]:
            found = next_place(lines, needle, start, step, wanted=wanted)
            if found is not None:
                return found, False
            return next_place(lines, needle, 0 if step > 0 else len(lines), step, wanted=wanted), True

        def show(found: tuple[Place | None, bool]) -> None:
            if wanted() and self._view.lines is lines:
                self._show(*found, step, tab)

        self._shell.background(find, show, group="find-text")

    def _show(self, place: Place | None, around: bool, step: int, tab: str) -> None:
        text = f"“{safe(self.text, max_len=_SHOWN)}”"
        if place is None:
            self._shell.notice(f"{text} is not in {tab}.", severity="refusal")
            return
        only = around and place == self._view.place
        self._view.show_place(place)
        where = f"{text} is in line {place.first + 1:,} of {len(self._view.lines):,}"
        turned = "the last one" if step < 0 else "the first one"
        more = ", and nowhere else" if only else f": {turned}" if around else ""
        self._shell.notice(f"{where}{more}.", severity="passing")
