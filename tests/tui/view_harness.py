"""An app that shows one dialog and keeps what it answered."""

from __future__ import annotations

from typing import Any, NamedTuple

from textual.app import App, ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Static

NOTHING = object()


class FakeRecipient(NamedTuple):
    """What `store.delivery.queue.recipients_of` answers, without a store."""

    address: str
    source: str = "envelope"
    bcc: bool = False


class DialogApp(App[None]):
    """Opens a dialog at once; `answer` is what it was dismissed with."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(self, dialog: ModalScreen[Any]) -> None:
        super().__init__()
        self.dialog = dialog
        self.answer: object = NOTHING

    def compose(self) -> ComposeResult:
        yield Static()

    def on_mount(self) -> None:
        self.push_screen(self.dialog, self._answered)

    def _answered(self, answer: object) -> None:
        self.answer = answer
