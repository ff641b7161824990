"""The Message queue: deliveries, and where each recipient of the one at the cursor stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import Rule, Static

from store.mail.outcome import RETRIABLE, State
from tui.console import trace
from tui.console.context import ConsoleContext
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.dialogs.send_again import SendAgainDialog
from tui.console.keys.keymap import Scope, bindings
from tui.console.text import queue_lines as made
from tui.console.widgets.line_view import LineView
from tui.console.widgets.pick_list import PickList
from tui.terminal.lines import Line
from tui.terminal.words import addresses

if TYPE_CHECKING:
    from store.delivery.queue import Delivery, RetryPlan

#: The newest deliveries that are shown; what waits is among them unless more than this were queued since.
LIMIT = 1_000
#: How often the time until the next try is drawn anew, in seconds.
_TICK = 5.0


class _Read(NamedTuple):
    deliveries: list[Delivery]
    subjects: dict[int, str]
    gateways: dict[int, str]


class QueueView(Widget):
    """Deliveries, newest first, above the recipients of the one at the cursor. Live: it follows the store."""

    DEFAULT_CSS = """
    QueueView {
        width: 1fr; height: 1fr; layout: vertical;
        & > #queue-head { height: 1; }
        & > Rule.-horizontal { height: 1; margin: 0; color: $border-blurred; }
        & > #queue-detail { height: 40%; min-height: 5; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.QUEUE)
    scope = Scope.QUEUE
    title = "Message queue"

    def __init__(self, context: ConsoleContext) -> None:
        super().__init__()
        self.context = context
        self._ready = self._to_first = False
        self.deliveries: list[Delivery] = []
        self._subjects: dict[int, str] = {}
        self._gateways: dict[int, str] = {}

    def compose(self) -> ComposeResult:
        yield Static("", id="queue-head", markup=False)
        yield Rule(line_style="solid")
        yield PickList(id="queue-list")
        yield Rule(line_style="solid")
        yield LineView(id="queue-detail")

    def on_mount(self) -> None:
        self._ready = True
        self.list = self.query_one(PickList)
        self.detail = self.query_one("#queue-detail", LineView)
        self.set_interval(_TICK, self._tick)
        self.refresh_data()

    def refresh_data(self) -> None:
        """Take up what changed in the queue; the cursor stays on its delivery."""
        if not self._ready:
            return
        vault, attention = self.context.vault, self.context.attention.ids

        def read() -> _Read:
            from store.delivery.queue import deliveries
            from store.enrolment.enrolled import gateways

            found = deliveries(vault, LIMIT, also=attention)
            wanted = {delivery.copy_id for delivery in found}
            copies = vault.get_many(sorted(wanted), on_error=lambda copy_id, error: None)
            names = {each.id: each.name for each in gateways(vault, on_error=lambda error: None)}
            return _Read(found, {copy.id: copy.record.subject for copy in copies}, names)

        self.context.background(read, self._show, group="queue")

    def _show(self, read: _Read) -> None:
        if not self.is_attached:
            return
        here = self.current.id if self.current else None
        self.deliveries, self._subjects, self._gateways = read
        head = made.summary(self.deliveries, LIMIT) if self.deliveries else "Nothing was delivered yet."
        self.query_one("#queue-head", Static).update(head)
        place = next((at for at, delivery in enumerate(self.deliveries) if delivery.id == here), None)
        self._draw()
        if place is not None:
            self.list.cursor = place
        self._go_to_first()

    def entered(self) -> None:
        """Go to the first delivery that an operator should look at, now or as soon as they are read."""
        self._to_first = True
        self._go_to_first()

    def _go_to_first(self) -> None:
        wanted = self.context.attention.ids
        if self._to_first and self.deliveries:
            self._to_first = False
            place = next((at for at, delivery in enumerate(self.deliveries) if delivery.id in wanted), None)
            if place is not None:
                self.list.cursor = place

    def _tick(self) -> None:
        if self.display and any(delivery.live for delivery in self.deliveries):
            self._draw()

    def _draw(self) -> None:
        self.list.build(self._list_builder(self.deliveries))
        self._draw_detail()

    def _draw_detail(self) -> None:
        delivery = self.current
        if delivery is None:
            self.detail.build(None)
            return
        subject, now, zone = made.subject_of(self._subjects, delivery), self.context.clock(), self.context.tz
        names = self._gateways
        self.detail.build(lambda width: made.detail_lines(delivery, subject, now, zone, width, names))

    def _list_builder(self, deliveries: Sequence[Delivery]) -> Callable[[int], Sequence[Line]]:
        subjects, now, zone = self._subjects, self.context.clock(), self.context.tz
        return lambda width: [
            made.delivery_line(delivery, made.subject_of(subjects, delivery), now, zone, width)
            for delivery in deliveries
        ]

    def on_line_view_wanted(self, event: LineView.Wanted) -> None:
        event.stop()
        # A thousand lines take a few milliseconds; the cursor must find them there.
        event.view.show(event.builder(event.width))

    def on_pick_list_moved(self, event: PickList.Moved) -> None:
        event.stop()
        self._draw_detail()
        self.detail.to_top()

    def on_pick_list_picked(self, event: PickList.Picked) -> None:
        event.stop()
        delivery = self.current
        if delivery is None:
            return
        if delivery.copy_id in self._subjects:
            self.context.shell.open_copy(delivery.copy_id)
        else:
            self.context.notice("The copy of this delivery was deleted.", severity="warning")

    @property
    def current(self) -> Delivery | None:
        """The delivery at the cursor."""
        here = self.list.cursor if self._ready else 0
        return self.deliveries[here] if here < len(self.deliveries) else None

    # -- actions

    def reason_against(self, action: str) -> str | None:
        """Why Retry or Cancel delivery is not possible for the delivery at the cursor, or None."""
        delivery = self.current
        if action not in ("retry", "cancel-delivery"):
            return None
        if delivery is None:
            return "There is no delivery."
        if action == "cancel-delivery" and not delivery.live:
            return f"Delivery {delivery.id} is finished."
        if delivery.damage:
            again = "It was tampered with or is damaged: deliver its copy anew."
            return again if action == "retry" else None
        if delivery.state is State.SENDING:
            return "It is being sent at this moment: wait for the result."
        if delivery.live or any(recipient.state in RETRIABLE for recipient in delivery.recipients):
            return None
        return f"Delivery {delivery.id} reached all of its recipients."

    def action_retry(self) -> None:
        """Send the delivery at the cursor again, once it was said to whom and what is known of the last attempt."""
        delivery = self._allowed("retry")
        if delivery is None:
            return
        vault, subject = self.context.vault, made.subject_of(self._subjects, delivery)

        def look() -> tuple[Delivery, RetryPlan]:
            from store.delivery.queue import delivery_of, retry_plan

            return delivery_of(vault, delivery.id), retry_plan(vault, delivery.id)

        def ask(found: tuple[Delivery, RetryPlan]) -> None:
            dialog = SendAgainDialog(*found, subject, self.context.tz)
            self.context.shell.ask(dialog, lambda yes: self._retry(found[1]) if yes else None)

        self.context.background(look, ask, group="queue-look")

    def action_cancel_delivery(self) -> None:
        """Call the delivery at the cursor off, once that is confirmed."""
        delivery = self._allowed("cancel-delivery")
        if delivery is None:
            return
        waiting = sum(recipient.state.live for recipient in delivery.recipients)
        whom = "which was tampered with or is damaged" if delivery.damage else f"to {addresses(waiting)}"
        dialog = ConfirmDialog(
            "Message queue",
            f"Cancel delivery {delivery.id}{',' * bool(delivery.damage)} {whom}?",
            "Cancel delivery",
            refuse="Keep",
        )
        self.context.shell.ask(dialog, lambda yes: self._cancel(delivery.id) if yes else None)

    def action_detail(self, direction: int) -> None:
        """Scroll the recipients, which the cursor's keys do not reach."""
        self.detail.action_half_page(direction)

    def action_to_list(self) -> None:
        self.context.shell.go("backup")

    def _allowed(self, action: str) -> Delivery | None:
        if reason := self.reason_against(action):
            self.context.notice(reason, severity="warning")
            return None
        return self.current

    def _retry(self, plan: RetryPlan) -> None:
        """Send again what was asked about: nothing, where that is not so any more."""

        def work() -> None:
            from store.delivery.queue import retry

            retry(self.context.vault, plan.delivery_id, self.context.operator, plan=plan)

        self._do(work, f"Delivery {plan.delivery_id} is sent again")

    def _cancel(self, delivery_id: int) -> None:
        def work() -> None:
            from store.delivery.queue import cancel

            cancel(self.context.vault, delivery_id, self.context.operator)

        self._do(work, f"Delivery {delivery_id} has been cancelled")

    def _do(self, work: Callable[[], None], said: str) -> None:
        def done(_: None) -> None:
            self.context.notice(said)
            self.context.shell.store_changed()
            self.refresh_data()

        trace.note("act", name="queue")
        self.context.background(work, done, group="queue-act")
