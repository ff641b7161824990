"""A question with two buttons: the verb, and Cancel, which is focused if the act cannot be undone."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Static

from tui.console.dialogs.base import Dialog
from tui.console.dialogs.chosen import Summary
from tui.console.widgets.controls import PushButton
from tui.console.widgets.typed_count import TypedCount


class ConfirmDialog(Dialog[bool]):
    """Asks before an act. Returns True only if the verb's button was pressed.

    `question` names the act and the count, `warning` the risk; `refuse` is the label of the other button. These texts
    are no markup and must be safe (`tui.terminal.safe`). `typed`: a number that must be typed first (0: none), for
    irreversible acts; `typed_verb` completes the prompt for it. `ready` focuses the verb's button instead of Cancel,
    for acts that can be undone. `summary` says which copies are concerned.
    """

    DEFAULT_CSS = """
    ConfirmDialog > #dialog { width: 64; }
    """

    def __init__(
        self,
        title: str,
        question: str,
        verb: str,
        *,
        warning: str = "",
        danger: bool = False,
        refuse: str = "Cancel",
        typed: int = 0,
        typed_verb: str = "",
        summary: Summary | None = None,
        ready: bool = False,
    ) -> None:
        super().__init__()
        self.title_text = title
        self.question = question
        self.verb = verb
        self.warning = warning
        self.danger = danger
        self.refuse = refuse
        self.typed = typed
        self.summary = summary
        self.typed_verb = typed_verb or verb.lower()
        self.ready = ready
        self.first_focus = "#ok" if ready else "#cancel"

    def body(self) -> Iterable[Widget]:
        yield Static(self.question, markup=False)
        if self.summary is not None:
            yield from self.summary.lines()
        if self.warning:
            yield Static(f"▲ {self.warning}", markup=False, classes="warning gap")
        yield TypedCount(self.typed, self.typed_verb)

    def buttons(self) -> Iterable[PushButton]:
        yield PushButton(self.verb, id="ok", danger=self.danger)
        yield PushButton(self.refuse, id="cancel")

    def opened(self) -> None:
        self.query_one("#dialog").border_title = self.title_text
        if self.typed:
            self.query_one(TypedCount).field.focus()

    def accept(self) -> None:
        if self.query_one(TypedCount).insist():
            self.dismiss(True)

    def cancelled(self) -> bool:
        return False
