"""The Message queue: deliveries, and the state of each recipient of the one at the cursor."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from textual.binding import BindingType

from store.delivery.queue import Delivery, RetryPlan, cancel, deliveries, delivery_of, retry, retry_plan
from store.enrolment.enrolled import Running, gateways, running
from store.mail.outcome import RETRIABLE
from tui.console.context import ConsoleContext
from tui.console.dialogs.send_again import SendAgainDialog
from tui.console.keys.keymap import Scope, bindings
from tui.console.screens.list_page import ListPage
from tui.console.text import queue_lines as made
from tui.console.widgets.line_view import Builder
from tui.terminal.words import addresses

#: Newest deliveries shown; older ones are shown only if they need attention.
LIMIT = 1_000
#: Seconds between updates of the time until a hold ends; number of such updates between those
#: of the next attempt's time.
_TICK, _RETRY_TICKS = 1.0, 5


class _Read(NamedTuple):
    deliveries: list[Delivery]
    subjects: dict[int, str]
    gateways: dict[int, str]
    idle: dict[int, str]


class QueueView(ListPage[Delivery]):
    """Deliveries, newest first, above the recipients of the one at the cursor. Kept up to date with the store."""

    DEFAULT_CSS = """
    QueueView > #detail { height: 40%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.QUEUE)
    scope = Scope.QUEUE
    title = "Message queue"
    has_columns = True

    def __init__(self, context: ConsoleContext) -> None:
        super().__init__(context)
        self._to_first = False
        self._ticks, self._held = 0, False
        self._subjects: dict[int, str] = {}
        self._gateways: dict[int, str] = {}
        self._idle: dict[int, str] = {}

    def on_mount(self) -> None:
        self.set_interval(_TICK, self._tick)

    def headings(self, width: int) -> str:
        return made.heading(width)

    def follow_store(self) -> None:
        vault, attention, now = self.context.vault, self.context.attention.ids, self.context.clock()

        def read() -> _Read:
            found = deliveries(vault, LIMIT, also=attention)
            wanted = {delivery.copy_id for delivery in found}
            copies = vault.get_many(sorted(wanted), on_error=lambda copy_id, error: None)
            known = gateways(vault, on_error=lambda error: None)
            states = {each.id: running(vault, each.id, each.alive_at, now) for each in known}
            idle = {number: str(state) for number, state in states.items() if state is not Running.YES}
            names = {each.id: each.name for each in known}
            return _Read(found, {copy.id: copy.record.subject for copy in copies}, names, idle)

        self.read(read, self._show, group="queue")

    def _show(self, read: _Read) -> None:
        if self.is_attached:
            deliveries, self._subjects, self._gateways, self._idle = read
            head = made.summary(deliveries, LIMIT) if deliveries else "No deliveries yet."
            self.show_items(deliveries, head)
            self._go_to_first()

    def entered(self) -> None:
        """Move to the first delivery that needs attention, now or once deliveries are read."""
        self._to_first = True
        self._go_to_first()

    def _go_to_first(self) -> None:
        wanted = self.context.attention.ids
        if self._to_first and self.items:
            self._to_first = False
            self.go_to(lambda delivery: delivery.id in wanted)

    def _tick(self) -> None:
        """Redraw the rest of a hold every second, and the time until the next attempt every fifth."""
        self._ticks += 1
        if not self.display:
            return
        now, before = self.context.clock(), self._held
        self._held = any(delivery.held_until(now) for delivery in self.items)
        due = self._held or before or self._ticks % _RETRY_TICKS == 0
        if due and any(delivery.live for delivery in self.items):
            self.draw()

    def key_of(self, item: Delivery) -> int:
        return item.id

    def list_builder(self) -> Builder:
        deliveries, subjects, now, zone = self.items, self._subjects, self.context.clock(), self.context.tz
        return lambda width: [
            made.delivery_line(delivery, made.subject_of(subjects, delivery), now, zone, width)
            for delivery in deliveries
        ]

    def detail_builder(self, item: Delivery) -> Builder:
        subject, now, zone = made.subject_of(self._subjects, item), self.context.clock(), self.context.tz
        names, idle = self._gateways, self._idle
        return lambda width: made.detail_lines(item, subject, now, zone, width, names, idle)

    def picked(self) -> None:
        delivery = self.current
        if delivery is None:
            return
        if delivery.copy_id in self._subjects:
            self.context.shell.open_copy(delivery.copy_id)
        else:
            self.context.shell.notice("The copy of this delivery was deleted.", severity="refusal")

    def reason_against(self, action: str) -> str | None:
        """Return why Retry or Cancel delivery is not possible for the delivery at the cursor, or None."""
        delivery = self.current
        if action not in ("retry", "cancel-delivery"):
            return None
        if delivery is None:
            return "No delivery is selected."
        if action == "cancel-delivery" and not delivery.live:
            return f"Delivery {delivery.id} is finished."
        if delivery.damage:
            again = "It was tampered with or is damaged. Deliver its copy again."
            return again if action == "retry" else None
        if delivery.in_hand(self.context.clock()):
            return "It is being sent now. Wait for the result."
        if delivery.live or any(recipient.state in RETRIABLE for recipient in delivery.recipients):
            return None
        return f"Delivery {delivery.id} reached all of its recipients."

    def action_retry(self) -> None:
        """Show the recipients and ask, then send the delivery at the cursor again, or now if it is held."""
        delivery = self.allowed("retry")
        if delivery is None:
            return
        vault, subject = self.context.vault, made.subject_of(self._subjects, delivery)

        def look() -> tuple[Delivery, RetryPlan]:
            return delivery_of(vault, delivery.id), retry_plan(vault, delivery.id)

        def ask(found: tuple[Delivery, RetryPlan]) -> None:
            held = bool(found[0].held_until(self.context.clock()))
            dialog = SendAgainDialog(*found, subject, self.context.tz, held=held)
            self.context.shell.ask(dialog, lambda yes: self._retry(found[1], held=held) if yes else None)

        self.context.shell.background(look, ask, group="look")

    def action_cancel_delivery(self) -> None:
        """Ask, then cancel the delivery at the cursor."""
        delivery = self.allowed("cancel-delivery")
        if delivery is None:
            return
        waiting = sum(recipient.state.live for recipient in delivery.recipients)
        whom = "which was tampered with or is damaged" if delivery.damage else f"to {addresses(waiting)}"
        question = f"Cancel delivery {delivery.id}{',' * bool(delivery.damage)} {whom}?"
        self.confirm(question, "Cancel delivery", lambda: self._cancel(delivery.id), refuse="Keep")

    def _retry(self, plan: RetryPlan, *, held: bool) -> None:
        """Send a delivery as `plan` says. The store refuses if the plan no longer applies."""
        vault, operator, number = self.context.vault, self.context.operator, plan.delivery_id
        said = f"Delivery {number} is sent {'now' if held else 'again'}"
        self.do(lambda: retry(vault, number, operator, plan=plan), lambda _: self._done(said))

    def _cancel(self, delivery_id: int) -> None:
        vault, operator = self.context.vault, self.context.operator
        said = f"Delivery {delivery_id} has been cancelled"
        self.do(lambda: cancel(vault, delivery_id, operator), lambda _: self._done(said))

    def _done(self, said: str) -> str:
        self.refresh_data()
        return said
