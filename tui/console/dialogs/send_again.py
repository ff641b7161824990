"""The window that asks before a delivery is sent again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Static

from store.mail.outcome import State
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.text.queue_lines import state_span
from tui.terminal.safe import fit, safe
from tui.terminal.times import full_time
from tui.terminal.words import addresses, counted

if TYPE_CHECKING:
    from store.delivery.queue import Delivery, RetryPlan

#: Most recipients listed; the rest are counted.
_LISTED = 200
_WIDTH = 68


class SendAgainDialog(ConfirmDialog):
    """Shows who gets a delivery if it is sent again, the state of the last attempt, and who may get it twice.

    `plan` is the plan of sending again: recipients served by another delivery of the copy are left out, and listed with
    the reason. `subject` is safe text. `held`: the delivery waits for its first attempt and is sent now.
    """

    DEFAULT_CSS = """
    SendAgainDialog {
        & > #dialog { width: 76; }
        #receivers { height: auto; }
    }
    """

    def __init__(self, delivery: Delivery, plan: RetryPlan, subject: str, zone: tzinfo, *, held: bool = False) -> None:
        self.delivery = delivery
        self.plan = plan
        self.subject = subject
        self.zone = zone
        self.receivers = [recipient for recipient in plan.recipients if recipient.sends]
        self.unknown = sum(recipient.state is State.UNKNOWN for recipient in self.receivers)
        warning = ""
        if self.unknown:
            which = "It" if len(self.receivers) == 1 else f"To {addresses(self.unknown)} it"
            warning = (
                f"{which} may arrive twice: the connection was lost after the message had been sent, and it is unknown "
                "whether the server accepted it."
            )
        super().__init__(
            "Message queue",
            f"Send delivery {delivery.id} {'now' if held else 'again'} to {addresses(len(self.receivers))}?",
            "Send now" if held else "Send again",
            warning=warning,
        )

    def body(self) -> Iterable[Widget]:
        question, *rest = super().body()
        yield question
        yield Static(fit(self.subject, _WIDTH).rstrip(), markup=False, classes="note")
        tried = counted(self.delivery.attempts, "attempt", "attempts") if self.delivery.attempts else "no attempt yet"
        queued = f"Queued {full_time(self.delivery.created_at, self.zone)}, {tried}:"
        yield Static(queued, markup=False, classes="note gap")
        yield Static("\n".join(self._lines()), markup=False, id="receivers")
        yield from rest

    def _lines(self) -> Iterable[str]:
        for recipient in self.receivers[:_LISTED]:
            yield f"{state_span(recipient.state).text} {safe(recipient.address)}"
            if recipient.reply:
                yield f"{' ' * 12}{safe(recipient.reply, max_len=500)}"
        if len(self.receivers) > _LISTED:
            yield f"and {addresses(len(self.receivers) - _LISTED)} more"
        for each in self.plan.left_out[:_LISTED]:
            yield f"- left out  {safe(each.address)} {safe(each.reason)}"
