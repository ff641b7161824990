"""Summary of a copy's releases for its view: who released it last, and each recipient's outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from store.database.connection import run
from store.delivery.listing import RecipientRow, delivery_of, whole
from store.delivery.orders import unseal_recipient
from store.delivery.outcomes import mailbox_outcomes
from store.mail.addresses import mailbox
from store.mail.outcome import State
from store.terms.errors import TamperedError

if TYPE_CHECKING:
    from store.vault.vault import Vault


class LastRelease(NamedTuple):
    """Who released a copy last ("" if that does not verify; NOT safe for a terminal), and when (Unix ms)."""

    operator: str
    at: int


class RecipientOutcome(NamedTuple):
    """Outcome of one mailbox. `at` is when its state was reached (Unix ms), 0 if unknown.

    `address` ("" if it does not verify) and the server's `reply` are NOT safe for a terminal.
    """

    address: str
    state: State
    at: int
    reply: str


def last_release(vault: Vault, copy_id: int) -> LastRelease | None:
    """Return the newest release of a copy that was not cancelled, None if there is none."""
    newest = "SELECT id, created_at FROM delivery WHERE copy_id = ? AND state <> ? ORDER BY id DESC LIMIT 1"
    first = "SELECT id, delivery_id, '', sealed_address, NULL FROM delivery_recipient WHERE delivery_id = ? ORDER BY id"
    with vault.reading():
        found = run(vault.db, newest, copy_id, State.CANCELLED.value).fetchone()
        row = run(vault.db, first, found[0]).fetchone() if found else None
    if found is None:
        return None
    try:
        return LastRelease(unseal_recipient(vault, RecipientRow(*row)).operator if row else "", whole(found[1]))
    except TamperedError:
        return LastRelease("", whole(found[1]))


def recipient_outcomes(vault: Vault, copy_id: int) -> list[RecipientOutcome]:
    """Return the outcome of each mailbox of all releases of a copy, in the order of release."""
    mailboxes = mailbox_outcomes(vault, [copy_id]).get(copy_id, [])
    replies = {
        (delivery_id, mailbox(recipient.address)): recipient.reply
        for delivery_id in {each.delivery_id for each in mailboxes}
        for recipient in delivery_of(vault, delivery_id).recipients
    }
    return [
        RecipientOutcome(each.address, each.state, each.at, replies.get((each.delivery_id, mailbox(each.address)), ""))
        for each in mailboxes
    ]
