"""Mailboxes that have a copy, may have it, or will get it: a release leaves them out, unless they are in `again`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, NamedTuple

from store.delivery.outcomes import MailboxOutcome, Opened, Unsealed, opened_rows, stronger
from store.mail.addresses import mailbox
from store.mail.outcome import HOLDING, State

if TYPE_CHECKING:
    from store.vault.vault import Vault

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class LeftOut(NamedTuple):
    """A recipient that a release left out, and why. Both texts are NOT safe for a terminal."""

    copy_id: int
    address: str
    reason: str


class Again:
    """Mailboxes that the operator chose to send to a second time: some addresses, or `everybody` (True)."""

    def __init__(self, chosen: Collection[str] | bool = ()) -> None:
        self.everybody = chosen is True
        self._mailboxes = frozenset() if isinstance(chosen, bool) else frozenset(map(mailbox, chosen))

    def __contains__(self, address: str) -> bool:
        return self.everybody or mailbox(address) in self._mailboxes


def held(outcomes: Iterable[MailboxOutcome]) -> dict[str, MailboxOutcome]:
    """Return, by mailbox, those of a copy's outcomes whose mailbox could get it twice by another release."""
    found: dict[str, MailboxOutcome] = {}
    for outcome in outcomes:
        if outcome.address and outcome.state in HOLDING:
            key = mailbox(outcome.address)
            found[key] = stronger(found.get(key), outcome)
    return found


def held_of(
    vault: Vault, copy_ids: Sequence[int], unsealed: Unsealed | None = None
) -> dict[int, dict[str, MailboxOutcome]]:
    """Return `held` of each released copy, by its id. Inside a `Vault.write` it cannot change.

    Pass the same `unsealed` to a call before the transaction, to keep the transaction short.
    """
    rows: dict[int, list[MailboxOutcome]] = {}
    for row in opened_rows(vault, copy_ids, unsealed):
        rows.setdefault(row.copy_id, []).append(row.outcome)
    return {copy_id: found for copy_id, outcomes in rows.items() if (found := held(outcomes))}


def held_elsewhere(rows: Iterable[Opened], delivery_id: int) -> dict[str, MailboxOutcome]:
    """Return the mailboxes that hold a copy, except the `unknown` ones of this delivery, which a retry is meant for."""
    return held(
        row.outcome for row in rows if row.outcome.delivery_id != delivery_id or row.outcome.state is not State.UNKNOWN
    )


def why(outcome: MailboxOutcome, zone: tzinfo | None = None) -> str:
    """Return why a mailbox is left out, such as `has it since 24 Nov 07:41`, in the given or the local time zone."""
    if outcome.state is State.SENT:
        return f"has it since {_when(outcome.at, zone)}"
    if outcome.state is State.UNKNOWN:
        return f"may have it: the connection of delivery {outcome.delivery_id} was lost {_when(outcome.at, zone)}"
    return f"waits in delivery {outcome.delivery_id}"


def _when(ms: int, zone: tzinfo | None) -> str:
    try:
        when = datetime.fromtimestamp(ms / 1000, zone)
    except (ValueError, OverflowError, OSError):
        return "an unknown time"
    year = "" if when.year == datetime.now(zone).year else f" {when.year}"
    return f"{when.day} {_MONTHS[when.month - 1]}{year} {when.hour:02}:{when.minute:02}"
