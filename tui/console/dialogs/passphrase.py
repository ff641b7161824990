"""The window that asks for the store's passphrase."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Static

from tui.console.dialogs.base import Dialog
from tui.console.widgets.controls import Field, PushButton
from tui.terminal.safe import safe


class PassphraseDialog(Dialog[str]):
    """Asks for the passphrase of the store at `location`; returns it, or None if cancelled. The caller opens the store.

    `error` says why the last passphrase did not open it.
    """

    DEFAULT_CSS = """
    PassphraseDialog > #dialog { width: 64; }
    """
    heading = "Unlock Backup"
    acts = False
    first_focus = "#passphrase"

    def __init__(self, location: str, *, error: str = "") -> None:
        super().__init__()
        self.location = location
        self.error = error

    def body(self) -> Iterable[Widget]:
        yield Static(safe(self.location), markup=False, classes="note")
        yield Static("Passphrase", markup=False, classes="gap")
        yield Field(id="passphrase", password=True)

    def buttons(self) -> Iterable[PushButton]:
        yield PushButton("Unlock", id="ok")
        yield PushButton("Cancel", id="cancel")

    def opened(self) -> None:
        if self.error:
            self.complain(self.error)

    def accept(self) -> None:
        passphrase = self.query_one("#passphrase", Field).value
        if passphrase:
            self.dismiss(passphrase)
        else:
            self.complain("Enter the passphrase.", "#passphrase")
