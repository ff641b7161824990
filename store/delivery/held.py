"""Who has a copy already, may have it, or will get it: a release leaves such mailboxes out, unless told `again`."""

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
    """A recipient to whom a copy was not released, and why. Both texts are NOT safe for a terminal."""

    copy_id: int
    address: str
    reason: str


class Again:
    """The mailboxes that the operator chose to send to a second time: some addresses, or `everybody` (True)."""

    def __init__(self, chosen: Collection[str] | bool = ()) -> None:
        self.everybody = chosen is True
        self._mailboxes = frozenset() if isinstance(chosen, bool) else frozenset(map(mailbox, chosen))

    def __contains__(self, address: str) -> bool:
        return self.everybody or mailbox(address) in self._mailboxes


def held(outcomes: Iterable[MailboxOutcome]) -> dict[str, MailboxOutcome]:
    """Return those of a copy's outcomes to whom a further release could bring it twice, by mailbox."""
    found: dict[str, MailboxOutcome] = {}
    for outcome in outcomes:
        if outcome.address and outcome.state in HOLDING:
            key = mailbox(outcome.address)
            found[key] = stronger(found.get(key), outcome)
    return found


def held_of(
    vault: Vault, copy_ids: Sequence[int], unsealed: Unsealed | None = None
) -> dict[int, dict[str, MailboxOutcome]]:
    """Return `held` of each copy that was released, by its id. In a `Vault.write`, nobody can add to it.

    `unsealed`, filled by a call before the transaction, keeps the one within it short.
    """
    rows: dict[int, list[MailboxOutcome]] = {}
    for row in opened_rows(vault, copy_ids, unsealed):
        rows.setdefault(row.copy_id, []).append(row.outcome)
    return {copy_id: found for copy_id, outcomes in rows.items() if (found := held(outcomes))}


def held_elsewhere(rows: Iterable[Opened], delivery_id: int) -> dict[str, MailboxOutcome]:
    """Return who holds a copy, by mailbox, not counting what sending the delivery again is about: its unknown ones."""
    return held(
        row.outcome for row in rows if row.outcome.delivery_id != delivery_id or row.outcome.state is not State.UNKNOWN
    )


def why(outcome: MailboxOutcome, zone: tzinfo | None = None) -> str:
    """Return why a mailbox is left out: `has it since 24 Nov 07:41`, in the time zone given or the local one."""
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
