"""The lines of the Message queue. Pure functions for a worker thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING

from store.mail.outcome import State
from store.sealing.keys import LOCAL_ID
from tui.terminal.cells import placed
from tui.terminal.lines import EMPTY, Line, Span, block, field
from tui.terminal.safe import fit, safe
from tui.terminal.times import full_time, waits_until
from tui.terminal.words import addresses, counted

if TYPE_CHECKING:
    from store.delivery.queue import Delivery

#: Sign and kind of span of each state. The sign tells the states apart without colour.
SIGNS = {
    State.QUEUED: ("·", "text"),
    State.SENDING: ("→", "accent"),
    State.DEFERRED: ("◷", "risk"),
    State.SENT: ("✓", "muted"),
    State.FAILED: ("✗", "danger"),
    State.UNKNOWN: ("?", "risk"),
    State.CANCELLED: ("–", "muted"),
}
_DETAIL = 26
_HELD = Span(f"{'◷ held':<11}", "muted")
_DAMAGED = Span(f"{'▲ damaged':<11}", "danger")


def state_span(state: State) -> Span:
    """Write ``▲ failed``, in eleven cells."""
    sign, kind = SIGNS[state]
    return Span(f"{sign} {state.value:<9}", kind)


def summary(deliveries: Sequence[Delivery], total_shown_limit: int) -> str:
    """Count the deliveries by state: ``3 waiting, 2 of them failed in part · 1 failed · 120 sent``.

    The top line and `status` count those that failed in part as failed too.
    """
    counts = Counter(delivery.state for delivery in deliveries if not delivery.damage)
    waiting = sum(counts[state] for state in State if state.live)
    damaged = len(deliveries) - counts.total()
    partly = sum(
        delivery.state.live and any(recipient.state is State.FAILED for recipient in delivery.recipients)
        for delivery in deliveries
        if not delivery.damage
    )
    parts = [f"{waiting:,} waiting" + f", {partly:,} of them failed in part" * bool(partly)]
    parts += [f"{damaged:,} damaged"] * bool(damaged)
    parts += [
        f"{counts[state]:,} {state.value}"
        for state in (State.UNKNOWN, State.FAILED, State.CANCELLED, State.SENT)
        if counts[state]
    ]
    text = " · ".join(parts)
    return f"{text} · newest {total_shown_limit:,}" if len(deliveries) >= total_shown_limit else text


def heading(width: int) -> str:
    """Write the names of the columns."""
    next_one = f" {'Next step':<{_DETAIL - 1}}" if width >= 84 else ""
    return f"{'No.':>5}  {'Queued':<12}  {'State':<11}  {'Sent':>7} {next_one}Subject"[: max(0, width)]


def delivery_line(delivery: Delivery, subject: str, now: int, zone: tzinfo, width: int) -> Line:
    """Write a delivery on one line: number, when queued, state, how many of its recipients have it, subject."""
    sent = sum(recipient.state is State.SENT for recipient in delivery.recipients)
    progress = f"{sent} of {len(delivery.recipients)}"
    held = held_words(delivery, now, zone).removeprefix("waits ")
    detail = (held or next_step(delivery, now)) if width >= 84 else ""
    when = placed(delivery.created_at, now, zone, 12)
    head = f"{delivery.id:>5}  {when:<12}  "
    room = width - len(head) - 11 - 2 - 8 - (_DETAIL if detail or width >= 84 else 0)
    state = _DAMAGED if delivery.damage else _HELD if held else state_span(delivery.state)
    spans = [Span(head), state, Span(f"  {progress:>7} ")]
    if width >= 84:
        spans.append(Span(f" {detail:<{_DETAIL - 1}}", "muted"))
    spans.append(Span(fit(subject, max(0, room))))
    return tuple(spans)


def held_words(delivery: Delivery, now: int, zone: tzinfo) -> str:
    """Write until when a delivery is held: ``waits until 07:41:20 (12 s)``; "" if it is not held."""
    until = delivery.held_until(now)
    return waits_until(until, now, zone) if until else ""


def next_step(delivery: Delivery, now: int) -> str:
    """Write when a waiting delivery is tried again: ``next try in 4 minutes``; "" if it is not waiting."""
    if delivery.damage:
        return "not sent: cancel it" if delivery.live else ""
    if delivery.state is State.QUEUED and not delivery.attempts:
        return "△ a clock was wrong" if delivery.odd_time(now) else ""
    if delivery.state not in (State.QUEUED, State.DEFERRED):
        return counted(delivery.attempts, "try", "tries") if delivery.attempts > 1 else ""
    if delivery.odd_time(now):
        return "△ a clock was wrong"
    seconds = (delivery.next_attempt_at - now) // 1000
    if seconds <= 0:
        return "next try now"
    if seconds < 90:
        return f"next try in {seconds} s"
    minutes = round(seconds / 60)
    return f"next try in {minutes} min" if minutes < 90 else f"next try in {round(minutes / 60)} h"


def detail_lines(
    delivery: Delivery,
    subject: str,
    now: int,
    zone: tzinfo,
    width: int,
    gateways: Mapping[int, str] | None = None,
    idle: Mapping[int, str] | None = None,
) -> list[Line]:
    """Write a delivery in full: who sends it, and each recipient's state and the server's reply.

    `gateways` maps gateway ids to names, `idle` those of gateways that are not running to their state.
    """
    head = f"Delivery {delivery.id} of copy {delivery.copy_id} to {addresses(len(delivery.recipients))}"
    held = held_words(delivery, now, zone)
    steps = [
        f"queued {full_time(delivery.created_at, zone)}",
        f"{held}: `r` sends it now, `c` cancels it" if held else next_step(delivery, now),
        who_sends(delivery, gateways or {}, idle or {}),
    ]
    said = ", ".join(step for step in steps if step)
    if len(head) + 2 + len(said) <= width:
        lines: list[Line] = [(Span(f"{head}  ", "strong"), Span(said, "muted"))]
    else:
        lines = [(Span(head, "strong"),), *block(said, width, "muted")]
    lines += [(Span(fit(subject, width)),), EMPTY]
    if delivery.damage:
        lines += [*block(_damage(delivery), width, "danger"), EMPTY]
    elif odd := delivery.odd_time(now):
        lines += [*block(f"△ An impossible time: {odd}.", width, "risk"), EMPTY]
    columns = 13
    for recipient in delivery.recipients:
        span = state_span(recipient.state)
        values = [(recipient.address, "text")] if recipient.address else [("a damaged address", "danger")]
        if recipient.reply:
            values.append((recipient.reply, "danger" if recipient.state is State.FAILED else "muted"))
        shown = field("", values, width, columns - 2)
        lines.append((Span(f"{span.text:<{columns}}", span.kind), *shown[0][1:]))
        lines += shown[1:]
    return lines


def who_sends(delivery: Delivery, gateways: Mapping[int, str], idle: Mapping[int, str] | None = None) -> str:
    """Say who sends a waiting delivery: ``the gateway mx1 sends it``; "" if it is not waiting.

    If `idle` has the gateway: ``the gateway mx1 is to send it, and is not running``.
    """
    if not delivery.live or delivery.damage:
        return ""
    if delivery.gateway_id == LOCAL_ID:
        return "an open console sends it"
    name = safe(gateways.get(delivery.gateway_id, str(delivery.gateway_id)))
    if state := (idle or {}).get(delivery.gateway_id):
        return f"the gateway {name} is to send it, and is {state}"
    return f"the gateway {name} sends it"


def _damage(delivery: Delivery) -> str:
    """Say what is wrong with a delivery, and what to do."""
    todo = "`c` cancels it, and its copy can be delivered again." if delivery.live else "Nothing more is sent for it."
    check = "Run `mailhold check` for other damage."
    return f"It was tampered with or is damaged: {delivery.damage}. {todo} {check}"


def subject_of(subjects: Mapping[int, str], delivery: Delivery) -> str:
    """Return the subject of the delivered copy, or a text that the copy was deleted."""
    subject = subjects.get(delivery.copy_id)
    if subject is None:
        return "(the copy was deleted)"
    return safe(subject, max_len=500) or "(no subject)"
