"""Accept a restored store: an operator signs that the store is valid although it lacks what was seen before.

The lost copies' ids are never used again. The settings, rules and lists get versions above all that any gateway has
seen, so that gateways adopt them. Releases that wait in the restored store may have been sent after the backup was
made; they are cancelled, except those that the operator keeps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import NamedTuple

from store.authority.acceptance import Accepted, accept
from store.authority.audit import record_event
from store.authority.comparing import stored_heads
from store.authority.configuration import seal_anew
from store.authority.keeper import HeadKeeper
from store.authority.older import Older
from store.delivery.placing import raise_next_delivery
from store.delivery.queue import cancel, deliveries
from store.helpers.clock import now_ms
from store.helpers.runs import gaps, ranges, runs
from store.terms.errors import UnlockError
from store.vault.counters import counters, raise_next, taken_ids
from store.vault.vault import Vault

RESTORED = "store restored"


class Standing(NamedTuple):
    """A store compared with what was seen of it on this machine.

    `older` is what it lacks, None if nothing is missing; `seen_at` is when it was last seen here (Unix ms, 0: never).
    `waiting` maps the releases that would be sent to the time they were ordered (Unix ms).
    """

    older: Older | None
    seen_at: int
    waiting: dict[int, int]


def standing(vault: Vault) -> Standing:
    """Compare the store with what was seen of it on this machine. Raises UnlockError if no operator opened it."""
    keeper = _keeper(vault)
    waiting = {each.id: each.created_at for each in deliveries(vault) if each.live}
    return Standing(keeper.older, keeper.remembered_at, waiting)


def restore(vault: Vault, *, keep: Collection[int] = (), operator: str = "") -> list[int]:
    """Sign that the store is valid as it is, and cancel its waiting releases except `keep`. Returns those cancelled.

    All in one transaction with its event. Raises UnlockError where no operator opened the store, DeliveryError where a
    release is being sent at this moment.
    """
    keeper = _keeper(vault)
    keeper.accepting = True
    try:
        with vault.write():
            heads = [*stored_heads(vault)[0], *keeper.remembered]
            seen = [head.vector for head in heads]
            generation = max(now_ms(), *(max(each.generation, each.at) + 1 for each in seen))
            waiting = [each.id for each in deliveries(vault) if each.live]
            gone = [each for each in waiting if each not in keep]
            for delivery_id in gone:
                cancel(vault, delivery_id, operator=operator)
            raise_next(vault.db, max(each.next_copy for each in seen))
            raise_next_delivery(vault.db, max(each.next_delivery for each in seen))
            accepted = Accepted(
                hashlib.sha256(b"".join(head.blob for head in heads)).digest(),
                max(each.at for each in seen),
                gaps(_known(vault), counters(vault.db).next_copy_id),
                [each for each in waiting if each in keep],
            )
            accept(vault, generation, accepted)
            seal_anew(vault, generation)
            what = f"lacks {keeper.older}" if keeper.older else "nothing newer was seen"
            off = f"; releases called off: {ranges(sorted(gone))}" if gone else ""
            record_event(vault, RESTORED, operator=operator, detail=what + off)
    finally:
        keeper.accepting = False
    vault.read_only = vault.db.read_only
    return gone


def _keeper(vault: Vault) -> HeadKeeper:
    keeper = vault.witness
    if not isinstance(keeper, HeadKeeper) or vault.keys.authority is None:
        raise UnlockError("This key cannot sign that a store holds. Unlock the store with an operator key.")
    return keeper


def _known(vault: Vault) -> list[tuple[int, int]]:
    """List the ids of copies that exist or have a verified tombstone, as runs."""
    return [*runs(taken_ids(vault.db)), *runs(sorted(vault.tombstones_since(0)[1]))]
