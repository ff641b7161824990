"""Signs and words for the outcome of releases: in the list, the message view, the notice and the top line."""

from __future__ import annotations

from collections.abc import Mapping

from store.mail.outcome import Attention, Delivered, State
from tui.terminal.words import copies

#: Sign and kind of span. Each sign takes one cell in every terminal: none is of ambiguous width.
SIGNS = {
    Delivered.NO: (" ", "muted"),
    Delivered.WAITING: ("◷", "muted"),
    Delivered.YES: ("✓", "muted"),
    Delivered.PARTLY: ("◒", "risk"),
    Delivered.FAILED: ("✗", "danger"),
    Delivered.UNKNOWN: ("?", "risk"),
}
#: Meanings of the signs, for the help.
MEANINGS = {
    Delivered.YES: "delivered to all of its recipients",
    Delivered.PARTLY: "delivered to some, failed for the others",
    Delivered.WAITING: "released, waiting to be sent",
    Delivered.FAILED: "released, failed for every recipient",
    Delivered.UNKNOWN: "unknown for a recipient: the connection was lost while sending",
}
_BEFORE = {
    Delivered.YES: ("was delivered before", "were delivered before"),
    Delivered.PARTLY: ("was delivered to some of its recipients", "were delivered to some of their recipients"),
    Delivered.WAITING: ("is in the queue already", "are in the queue already"),
    Delivered.FAILED: ("was released before but failed", "were released before but failed"),
    Delivered.UNKNOWN: ("may have been delivered before", "may have been delivered before"),
}
#: Groups in which an act's deliveries are counted: states, word, sign.
_PROGRESS = (
    ((State.SENT,), "delivered", "✓"),
    ((State.DEFERRED,), "deferred", "◷"),
    ((State.FAILED,), "failed", "✗"),
    ((State.UNKNOWN,), "unknown", "?"),
    ((State.CANCELLED,), "cancelled", "–"),
    ((State.QUEUED, State.SENDING), "waiting", "·"),
)


def before(outcomes: Mapping[Delivered, int], copies_chosen: int) -> list[str]:
    """Say what became of earlier releases of the chosen copies, one sentence each: ``✓ 3
    copies were delivered before.``
    """
    lines = []
    for outcome, (one, many) in _BEFORE.items():
        if number := outcomes.get(outcome, 0):
            subject = "This copy" if copies_chosen == 1 else copies(number)
            lines.append(f"{SIGNS[outcome][0]} {subject} {one if number == 1 else many}.")
    return lines


def progress(states: Mapping[State, int], *, short: bool = False) -> str:
    """Count the deliveries by state: ``412 delivered · 3 deferred · 1 failed · 88 waiting``, or ``✓412 ◷3 ✗1 ·88``."""
    parts = []
    for counted, word, sign in _PROGRESS:
        if number := sum(states.get(state, 0) for state in counted):
            parts.append(f"{sign}{number:,}" if short else f"{number:,} {word}")
    return (" " if short else " · ").join(parts)


def attention_words(attention: Attention, *, short: bool) -> list[tuple[str, str]]:
    """Return the counts of deliveries that need attention, each with its kind of span: ``✗ 3
    failed``, or ``✗3`` if `short`.
    """
    parts = []
    for ids, sign, kind, word in (
        (attention.failed, "✗", "danger", "failed"),
        (attention.unknown, "?", "risk", "unknown"),
        (attention.put_off, "◷", "risk", "deferred"),
    ):
        if ids:
            parts.append((f"{sign}{len(ids):,}" if short else f"{sign} {len(ids):,} {word}", kind))
    return parts


def queue_words(attention: Attention, waiting: int) -> str:
    """Write the queue's state: ``88 waiting, 2 of them deferred · 3 failed · 1 unknown``."""
    put_off = len(attention.put_off)
    parts = [f"{waiting:,} waiting" + (f", {put_off:,} of them deferred" if put_off else "")]
    parts += [f"{len(attention.failed):,} failed"] * bool(attention.failed)
    parts += [f"{len(attention.unknown):,} unknown"] * bool(attention.unknown)
    return " · ".join(parts)
