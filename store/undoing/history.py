"""Find which acts of an operator can be undone, and which undone acts can be redone.

Both are computed from the audit trail, so all consoles and sessions of an operator agree. An event that undoes an act
names it by number.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from store.authority.acts import BIN, folded
from store.authority.audit import events
from store.authority.event_forms import Phase
from store.helpers.clock import now_ms
from store.undoing.plans import PastAct

if TYPE_CHECKING:
    from collections.abc import Collection

    from store.authority.audit import Event
    from store.vault.vault import Vault

#: Events searched, all operators' together.
LOOKED_THROUGH = 2000


class History(NamedTuple):
    """Acts of one operator, newest first: those in force, and those undone and not redone since."""

    done: list[PastAct]
    taken_back: list[PastAct]


def history(vault: Vault, operator: str, actions: Collection[str]) -> History:
    """Find an operator's acts among `actions`, within the newest 2000 events.

    Skips damaged events: an act that they tell of cannot be undone. Raises UnlockError, StoreUnavailable.
    """
    trail = events(vault, LOOKED_THROUGH, lenient=True)
    parts: dict[int, list[Event]] = defaultdict(list)
    for event in trail:
        parts[event.act or event.number].append(event)
    acts = (PastAct(act, tuple(parts[act.act or act.number])) for act in folded(trail, now_ms()) if not act.damage)
    own = {act.number: act for act in acts if act.event.operator == operator}
    done: list[int] = []
    taken_back: list[int] = []
    when: dict[int, int] = {}
    for number, act in sorted(own.items()):
        if undoes := act.event.undoes:
            origin, target = (done, taken_back) if undoes > 0 else (taken_back, done)
            if abs(undoes) in origin:
                origin.remove(abs(undoes))
            if abs(undoes) not in target and not _deleted_anew(own, undoes):
                target.append(abs(undoes))
            when[abs(undoes)] = number
        elif number and act.event.action in actions:
            done.append(number)
    # An act that was still running when it was undone, and continued, can be undone further.
    for number in [each for each in taken_back if each in own and _went_on(own[each], when[each])]:
        taken_back.remove(number)
        done.append(number)
    return History(*([own[number] for number in reversed(each) if number in own] for each in (done, taken_back)))


def _deleted_anew(own: dict[int, PastAct], undoes: int) -> bool:
    """Return whether a deletion was redone: that was a new deletion, an act of its own, which stands for it."""
    return undoes < 0 and -undoes in own and own[-undoes].event.action == BIN


def _went_on(act: PastAct, since: int) -> bool:
    return any(part.number > since and part.phase in (Phase.ONE, Phase.BATCH) for part in act.parts)
