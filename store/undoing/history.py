"""Which acts of an operator can be taken back, and which of those that were taken back can be done again.

Both follow from the audit trail, so they are the same in all consoles and sessions of an operator: an event that takes
an act back names it by number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from store.authority.acts import folded
from store.authority.audit import events
from store.helpers.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Collection

    from store.authority.audit import Event
    from store.vault.vault import Vault

#: So many events are looked through, all operators' together.
LOOKED_THROUGH = 2000


class History(NamedTuple):
    """Acts of one operator, the newest first: those in force, and those taken back and not done again since.

    An act is one event, folded from all that the trail tells of it; `number_of` is what names it.
    """

    done: list[Event]
    taken_back: list[Event]


def number_of(act: Event) -> int:
    """The number that names an act: that of the first event that tells of it."""
    return act.act or act.number


def history(vault: Vault, operator: str, actions: Collection[str]) -> History:
    """The acts of an operator among `actions`, as far back as the trail is looked through.

    Damaged events are passed over: nothing that they tell can be taken back. Raises UnlockError, StoreUnavailable.
    """
    trail = events(vault, LOOKED_THROUGH, lenient=True)
    own = {number_of(act): act for act in folded(trail, now_ms()) if act.operator == operator and not act.damage}
    done: list[int] = []
    taken_back: list[int] = []
    for number, act in sorted(own.items()):
        if act.undoes:
            origin, target = (done, taken_back) if act.undoes > 0 else (taken_back, done)
            if abs(act.undoes) in origin:
                origin.remove(abs(act.undoes))
            if abs(act.undoes) not in target:
                target.append(abs(act.undoes))
        elif number and act.action in actions:
            done.append(number)
    return History(*([own[number] for number in reversed(each) if number in own] for each in (done, taken_back)))
