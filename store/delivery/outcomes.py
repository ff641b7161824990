"""What became of the releases of chosen copies: the outcome of each mailbox, over all deliveries of a copy.

A mailbox that several deliveries of one copy name has one outcome: the strongest (`store.delivery.outcome.strongest`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from store.database import run
from store.delivery.addresses import mailbox
from store.delivery.listing import KNOWN_STATE, RecipientRow, state_of, whole
from store.delivery.orders import unseal_recipient
from store.delivery.outcome import State, strongest
from store.errors import TamperedError

if TYPE_CHECKING:
    from store.vault import Vault

_CHUNK = 500
_ROWS = (
    f"SELECT id, delivery_id, {KNOWN_STATE}, sealed_address, NULL, changed_at FROM delivery_recipient "  # noqa: S608 - made of constants alone
    "WHERE delivery_id = ANY(?) ORDER BY id"
)


class MailboxOutcome(NamedTuple):
    """A mailbox that a copy was released to. `at` is when its state was reached (Unix ms); `address` is NOT safe."""

    address: str
    state: State
    at: int
    delivery_id: int


def mailbox_outcomes(vault: Vault, copy_ids: Sequence[int]) -> dict[int, list[MailboxOutcome]]:
    """Return the outcomes of each copy that was released, by its id, in the order of release.

    A recipient row that does not verify counts as `UNKNOWN` under the address "". Costs two queries for each 500
    copies or deliveries, and 0.1 ms for each recipient found.
    """
    copy_of: dict[int, int] = {}
    for at in range(0, len(copy_ids), _CHUNK):
        with vault.reading():
            found = run(
                vault.db,
                "SELECT id, copy_id FROM delivery WHERE copy_id = ANY(?) ORDER BY id",
                list(copy_ids[at : at + _CHUNK]),
            ).fetchall()
        copy_of.update(found)
    outcomes: dict[int, dict[str, MailboxOutcome]] = {}
    deliveries = sorted(copy_of)
    for at in range(0, len(deliveries), _CHUNK):
        with vault.reading():
            rows = run(vault.db, _ROWS, deliveries[at : at + _CHUNK]).fetchall()
        for *row, changed_at in rows:
            each = _outcome(vault, RecipientRow(*row), whole(changed_at))
            mailboxes = outcomes.setdefault(copy_of[each.delivery_id], {})
            key = mailbox(each.address)
            mailboxes[key] = _stronger(mailboxes.get(key), each)
    return {copy_id: list(mailboxes.values()) for copy_id, mailboxes in outcomes.items()}


def _outcome(vault: Vault, row: RecipientRow, at: int) -> MailboxOutcome:
    try:
        return MailboxOutcome(unseal_recipient(vault, row).address, state_of(row.state), at, row.delivery_id)
    except TamperedError:
        return MailboxOutcome("", State.UNKNOWN, at, row.delivery_id)


def _stronger(one: MailboxOutcome | None, other: MailboxOutcome) -> MailboxOutcome:
    return one if one is not None and strongest((one.state, other.state)) is one.state else other
