"""The window that asks for a text to find in a message."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from tui.console.dialogs.base import Dialog
from tui.console.widgets.controls import Field


class FindTextDialog(Dialog[str]):
    """Asks for a text to find in a tab of a message; "" ends the search."""

    heading = "Find in the message"
    acts = False
    first_focus = "#find"

    def __init__(self, tab: str, text: str = "") -> None:
        """Ask for a text in the tab with this name; `text` is the one that was found last."""
        super().__init__()
        self.tab, self.text = tab, text

    def body(self) -> Iterable[Widget]:
        yield Field(self.text, placeholder=f"a text in {self.tab} (empty ends the search)", id="find")

    def accept(self) -> None:
        self.dismiss(self.query_one("#find", Field).value.strip())
