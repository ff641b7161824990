"""Outcome of each mailbox that copies were released to, over all deliveries of a copy.

If several deliveries of a copy name a mailbox, its strongest outcome counts (`store.mail.outcome.strongest`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from store.database.connection import as_bytes, run, sound
from store.delivery.listing import KNOWN_STATE, RecipientRow, state_of, whole
from store.delivery.orders import unseal_recipient
from store.mail.addresses import mailbox
from store.mail.outcome import State, strongest
from store.terms.errors import TamperedError

if TYPE_CHECKING:
    from store.vault.vault import Vault

_CHUNK = 500
_ROWS = (
    f"SELECT id, delivery_id, {KNOWN_STATE}, sealed_address, NULL, changed_at FROM delivery_recipient "  # noqa: S608 - made of constants alone
    "WHERE delivery_id = ANY(?) ORDER BY id"
)


class MailboxOutcome(NamedTuple):
    """Outcome of one mailbox. `at` is when its state was reached (Unix ms); `address` is NOT safe for a terminal."""

    address: str
    state: State
    at: int
    delivery_id: int


class Opened(NamedTuple):
    """A recipient row with its address unsealed. `id` is the row's."""

    id: int
    copy_id: int
    outcome: MailboxOutcome


#: Cache of unsealed addresses, by (delivery, sealed bytes).
Unsealed = dict[tuple[int, bytes], str]


def mailbox_outcomes(vault: Vault, copy_ids: Sequence[int]) -> dict[int, list[MailboxOutcome]]:
    """Return the outcomes of each released copy, by its id, in the order of release.

    A recipient row that does not verify counts as `UNKNOWN` under the address "". Costs two queries per 500 copies or
    deliveries, and 0.1 ms per recipient.
    """
    outcomes: dict[int, dict[str, MailboxOutcome]] = {}
    for row in opened_rows(vault, copy_ids):
        mailboxes = outcomes.setdefault(row.copy_id, {})
        outcome = row.outcome if row.outcome.address else row.outcome._replace(state=State.UNKNOWN)
        key = mailbox(outcome.address)
        mailboxes[key] = stronger(mailboxes.get(key), outcome)
    return {copy_id: list(mailboxes.values()) for copy_id, mailboxes in outcomes.items()}


def opened_rows(vault: Vault, copy_ids: Sequence[int], unsealed: Unsealed | None = None) -> Iterator[Opened]:
    """Yield every recipient row of all deliveries of copies.

    Unseals only addresses missing in `unsealed`, and adds them.
    """
    known = {} if unsealed is None else unsealed
    copy_of: dict[int, int] = {}
    for at in range(0, len(copy_ids), _CHUNK):
        with vault.reading():
            found = run(
                vault.db,
                "SELECT id, copy_id FROM delivery WHERE copy_id = ANY(?) ORDER BY id",
                list(copy_ids[at : at + _CHUNK]),
            ).fetchall()
        copy_of.update(found)
    deliveries = sorted(copy_of)
    for at in range(0, len(deliveries), _CHUNK):
        with vault.reading():
            rows = run(vault.db, _ROWS, deliveries[at : at + _CHUNK]).fetchall()
        for *row, changed_at in rows:
            recipient = RecipientRow(*row)
            outcome = MailboxOutcome(
                _address(vault, recipient, known), state_of(recipient.state), whole(changed_at), recipient.delivery_id
            )
            yield Opened(recipient.id, copy_of[recipient.delivery_id], outcome)


def _address(vault: Vault, row: RecipientRow, known: Unsealed) -> str:
    try:
        with sound("a recipient"):
            key = row.delivery_id, as_bytes(row.sealed_address)
        if key not in known:
            known[key] = unseal_recipient(vault, row).address
        return known[key]
    except TamperedError:
        return ""


def stronger(one: MailboxOutcome | None, other: MailboxOutcome) -> MailboxOutcome:
    """Return the stronger of two outcomes of one mailbox; `one` if they are equally strong."""
    return one if one is not None and strongest((one.state, other.state)) is one.state else other
