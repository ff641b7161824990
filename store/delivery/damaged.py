"""Cancel a delivery whose rows were altered, without trusting what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.database.connection import run
from store.mail.outcome import State

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: Longer than any worker's lease (ms): a lease that ends later is forged.
_LONGEST_LEASE = 3_600_000


def withdraw(vault: Vault, delivery_id: int, now: int) -> bool:
    """Cancel a live delivery by its id alone. False while a worker is sending it right now.

    Waiting recipients become `cancelled`. Recipients whose message may be out become `unknown`, as do those with an
    invalid state. The transaction must be a `Vault.write`.
    """
    db = vault.db
    busy = "state = ? AND data_started_at IS NOT NULL AND lease_until BETWEEN ? AND ?"
    being_sent = (State.SENDING.value, now, now + _LONGEST_LEASE)
    if run(db, f"SELECT id FROM delivery WHERE id = ? AND {busy}", delivery_id, *being_sent).fetchone():  # noqa: S608 - made of constants alone
        return False
    (token,) = run(db, "SELECT lease_token FROM delivery WHERE id = ?", delivery_id).fetchone()
    # A new token, so that a worker holding the delivery loses its lease.
    fresh = token + 1 if isinstance(token, int) and 0 <= token < 1 << 53 else 1
    run(
        db,
        "UPDATE delivery SET state = ?, finished_at = ?, sealed_body_key = NULL, data_started_at = NULL, "
        "lease_owner = '', lease_until = 0, lease_token = ? WHERE id = ?",
        *(State.CANCELLED.value, now, fresh, delivery_id),
    )
    waiting = (State.QUEUED.value, State.DEFERRED.value)
    ended = tuple(state.value for state in State if not state.live)
    places = ", ".join("?" * len(ended))
    run(
        db,
        "UPDATE delivery_recipient SET state = CASE WHEN state IN (?, ?) THEN ? ELSE ? END, changed_at = ? "  # noqa: S608 - made of constants alone
        f"WHERE delivery_id = ? AND state NOT IN ({places})",
        *(*waiting, State.CANCELLED.value, State.UNKNOWN.value, now, delivery_id, *ended),
    )
    return True
