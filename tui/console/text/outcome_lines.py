"""The message view's lines about a copy's releases: one sentence, and every recipient.

Pure functions for a worker thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, NamedTuple

from store.mail.outcome import Delivered, State, delivered
from tui.terminal.cells import placed
from tui.terminal.outcome_words import SIGNS
from tui.terminal.safe import safe
from tui.terminal.times import full_time

if TYPE_CHECKING:
    from store.delivery.history import LastRelease, RecipientOutcome

_WORDS = {
    State.SENT: "delivered to",
    State.FAILED: "failed for",
    State.UNKNOWN: "unknown for",
    State.DEFERRED: "deferred for",
    State.SENDING: "being sent to",
    State.QUEUED: "waiting for",
    State.CANCELLED: "cancelled for",
}
_KINDS = {State.SENT: "text", State.FAILED: "danger", State.UNKNOWN: "risk", State.DEFERRED: "risk"}
#: Addresses named per state in the sentence; the others are counted.
_NAMED = 2


class Release(NamedTuple):
    """A copy's last release that was not called off, and the outcome for each recipient of any release."""

    last: LastRelease | None
    recipients: Sequence[RecipientOutcome]

    @property
    def outcome(self) -> Delivered:
        """The outcome of all releases together."""
        return delivered(each.state for each in self.recipients)


def sentence(release: Release, now: int, zone: tzinfo) -> str:
    """Write, safe to show, ``✓ Delivered to a@x 24 Nov 07:41; failed for b@x (550 no such user)``.

    "" if the copy was never released, or each release was called off.
    """
    outcome = release.outcome
    if outcome is Delivered.NO:
        return ""
    text = told(release.recipients, now, zone)
    return f"{SIGNS[outcome][0]} {text[0].upper()}{text[1:]}"


def told(recipients: Sequence[RecipientOutcome], now: int, zone: tzinfo) -> str:
    """Write, safe to show, ``delivered to a@x 24 Nov 07:41; failed for b@x (550 no such user)``."""
    parts = []
    for state, words in _WORDS.items():
        found = [each for each in recipients if each.state is state]
        if found:
            parts.append(f"{words} {_listed(found, now, zone)}")
    return "; ".join(parts)


def _listed(found: Sequence[RecipientOutcome], now: int, zone: tzinfo) -> str:
    shown, others = found[:_NAMED], len(found) - _NAMED
    items = [_named(each, now, zone) for each in shown]
    if len({item.removeprefix(_address(each)) for each, item in zip(shown, items, strict=True)}) == 1:
        items = [*map(_address, shown[:-1]), items[-1]]  # details shared by all are written once
    return ", ".join(items) + (f" and {others:,} more" if others > 0 else "")


def _address(each: RecipientOutcome) -> str:
    return safe(each.address, max_len=80) or "a damaged address"


def _named(each: RecipientOutcome, now: int, zone: tzinfo) -> str:
    address = _address(each)
    if each.state is State.SENT:
        return f"{address} {' '.join(placed(each.at, now, zone, 12).split())}" if each.at else address
    return f"{address} ({safe(each.reply, max_len=100)})" if each.reply else address


def release_fields(release: Release, zone: tzinfo) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return labels with values (message text, kind) for the fields: the last release, and all recipients."""
    fields: list[tuple[str, list[tuple[str, str]]]] = []
    if release.last is not None:
        by = f" by {release.last.operator}" if release.last.operator else ""
        fields.append(("Released", [(f"{full_time(release.last.at, zone)}{by}", "text")]))
    values = []
    for each in release.recipients:
        address = each.address or "a damaged address"
        parts = [f"{each.state.value:<9} {address}", full_time(each.at, zone)]
        kind = _KINDS.get(each.state, "muted")
        values.append(("  ".join(part for part in parts if part), kind))
        if each.reply:
            values.append((f"{'':<10}{each.reply}", "muted" if each.state is State.SENT else kind))
    if values:
        fields.append(("Released to", values))
    return fields
