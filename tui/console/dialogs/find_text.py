"""The windows that ask for a text to find."""

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

    def __init__(self, where: str, text: str = "") -> None:
        """Ask for a text in the tab `where`; `text` is the one that was found last."""
        super().__init__()
        self.hint = f"a text in {where} (empty ends the search)"
        self.text = text

    def body(self) -> Iterable[Widget]:
        yield Field(self.text, placeholder=self.hint, id="find")

    def accept(self) -> None:
        self.dismiss(self.query_one("#find", Field).value.strip())


class FindEntryDialog(FindTextDialog):
    """Asks for a text that entries of the address lists, or their users, must contain; "" shows all."""

    heading = "Find in the address lists"

    def __init__(self, text: str = "") -> None:
        super().__init__("", text)
        self.hint = "sender or user contains… (empty shows all)"
