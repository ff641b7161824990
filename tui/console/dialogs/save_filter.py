"""The window that asks for the name under which a filter is saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget
from textual.widgets import Input, Static

from store.filters.named import SavedFilter, key_of, written
from store.filters.saved import checked_name
from store.terms.errors import UsageError
from tui.console.dialogs.base import Dialog
from tui.console.widgets.controls import Field, PushButton
from tui.terminal.safe import safe

_SHARED = "All operators see it."


class SaveFilterDialog(Dialog[str]):
    """Returns the name, normalised, or None."""

    heading = "Save filter"
    first_focus = "#name"

    def __init__(self, line: str, saved: Sequence[SavedFilter]) -> None:
        super().__init__()
        self.line = line
        self.saved = {key_of(each.name): each for each in saved}

    def body(self) -> Iterable[Widget]:
        yield Static(safe(self.line), markup=False)
        yield Static("")
        yield Field(placeholder="name", id="name")
        yield Static(_SHARED, id="said", markup=False, classes="note")

    def buttons(self) -> Iterable[PushButton]:
        yield PushButton("Save", id="ok")
        yield PushButton("Cancel", id="cancel")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.complain("")
        said = _SHARED
        try:
            name = checked_name(event.value)
        except UsageError:
            pass
        else:
            said = f"Use {written(name)} in a filter to include it. {_SHARED}"
            if there := self.saved.get(key_of(name)):
                said = f"▲ Replaces {there.name}: {there.line}"
        self.query_one("#said", Static).update(safe(said))

    def accept(self) -> None:
        try:
            self.dismiss(checked_name(self.query_one(Field).value))
        except UsageError as error:
            self.complain(str(error), "#name")
