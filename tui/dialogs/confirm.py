"""A question with one verb: the button that does it, and Cancel, which has focus."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Static

from tui.dialogs.base import Dialog
from tui.widgets.controls import PushButton


class ConfirmDialog(Dialog[bool]):
    """Asks before something that cannot be taken back. Answers True only where the verb's button was pressed.

    `question` names the verb and the count; `warning` says what can go wrong; `refuse` names the other button (another
    first letter than the verb). Neither is markup, nor may hold text of a message that did not pass `tui.safe`.
    """

    DEFAULT_CSS = """
    ConfirmDialog > #dialog { width: 64; }
    """
    first_focus = "#cancel"

    def __init__(
        self, title: str, question: str, verb: str, *, warning: str = "", danger: bool = False, refuse: str = "Cancel"
    ) -> None:
        super().__init__()
        self.title_text = title
        self.question = question
        self.verb = verb
        self.warning = warning
        self.danger = danger
        self.refuse = refuse

    def body(self) -> Iterable[Widget]:
        yield Static(self.question, markup=False)
        if self.warning:
            yield Static(f"▲ {self.warning}", markup=False, classes="warning gap")

    def buttons(self) -> Iterable[PushButton]:
        # Not the first letter: that is often the key that asked, and one pressed twice must not answer.
        yield PushButton(self.verb, mnemonic=self.verb[1].lower(), id="ok", danger=self.danger)
        yield PushButton(self.refuse, mnemonic=self.refuse[0].lower(), id="cancel")

    def opened(self) -> None:
        self.query_one("#dialog").border_title = self.title_text

    def accept(self) -> None:
        self.dismiss(True)

    def cancelled(self) -> bool:
        return False
