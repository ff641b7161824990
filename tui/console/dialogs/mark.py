"""The windows that mark or unmark by a query, and show how many copies it finds while it is typed."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Input, Static

from store.filters.model import MessageFilter
from store.terms.errors import FilterError
from tui.console.context import ConsoleContext
from tui.console.dialogs.base import Dialog
from tui.console.widgets.controls import Field, PushButton
from tui.console.widgets.pages import Result
from tui.terminal.safe import safe
from tui.terminal.words import copies


class MarkDialog(Dialog[tuple[MessageFilter, Result]]):
    """Returns the filter and its matches, or None. The query searches all of Backup, not only the listed copies."""

    heading = "Mark by query"
    acts = False
    first_focus = "#query"
    button = "Mark"

    def __init__(self, context: ConsoleContext, text: str = "") -> None:
        super().__init__()
        self.context = context
        self.text = text
        self.found: tuple[MessageFilter, Result] | None = None
        self._accept_when_found = False
        self._counted: MessageFilter | None = None

    def body(self) -> Iterable[Widget]:
        yield Field(self.text, placeholder="from: to: subject: scan: period: … or words", id="query")
        yield Static("", id="found", markup=False, classes="note")

    def buttons(self) -> Iterable[PushButton]:
        yield PushButton(self.button, id="ok")
        yield PushButton("Cancel", id="cancel")

    def on_mount(self) -> None:
        self._count(self.text)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.complain("")
        self._count(event.value)

    def _count(self, text: str) -> None:
        self.found = None
        self._accept_when_found = False
        try:
            flt = self.context.parse(text, lenient=True)
        except FilterError as error:
            self._say(f"▲ {error}")
            return
        catalogue, self._counted = self.context.catalogue, flt

        def in_full() -> Result:
            catalogue.wait_for(flt)
            return catalogue.select(flt)

        def so_far(result: Result) -> None:
            if result.partial and flt.asks() and self.is_attached:
                # The catalogue is still loading what this filter asks for (takes seconds):
                # the count so far means little.
                self._say(f"{copies(result.count)} so far, reading…")
                self.context.shell.background(in_full, done, group="mark-query in full")
            else:
                done(result)

        def done(result: Result) -> None:
            if self._counted is not flt:
                return
            self.found = (flt, result)
            if self.is_attached:
                self._say(f"{copies(result.count)}{' so far' if result.partial else ''}")
                if self._accept_when_found:
                    self.accept()

        self.context.shell.background(lambda: catalogue.select(flt), so_far, group="mark-query")

    def _say(self, text: str) -> None:
        self.query_one("#found", Static).update(safe(text))

    def accept(self) -> None:
        try:
            self.context.parse(self.query_one(Field).value)
        except FilterError as error:
            self._say("")  # the line below the field may say the same
            self.complain(safe(str(error)), "#query")
            return
        if self.found is None:
            self._accept_when_found = True
        elif not self.found[1].count:
            self.complain("No message copy matches.", "#query")
        else:
            self.dismiss(self.found)


class UnmarkDialog(MarkDialog):
    """Like `MarkDialog`, but for unmarking. It opens even without marks, so that typed-ahead keys land in it."""

    heading = "Unmark by query"
    button = "Unmark"

    def __init__(self, context: ConsoleContext, text: str = "", *, marked: bool = True) -> None:
        super().__init__(context, text)
        self.marked = marked

    def accept(self) -> None:
        if self.marked:
            super().accept()
        else:
            self.complain("No message copy is marked.", "#query")
