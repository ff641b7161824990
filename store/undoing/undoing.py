"""Undo the last act of an operator, or do an undone act again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store.authority.acts import BIN
from store.delivery.queue import QUEUED
from store.terms.errors import MailholdError
from store.terms.progress import Cancelled, Progress
from store.undoing.configured import PARTS, Configured
from store.undoing.deleted import Deleted
from store.undoing.history import History, history
from store.undoing.plans import Kind, Plan, Told
from store.undoing.released import Released

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.undoing.plans import PastAct
    from store.vault.vault import Vault

_KINDS: dict[str, Kind] = {action: Configured[Any](part) for actions, part in PARTS for action in actions}
_KINDS |= {QUEUED: Released(), BIN: Deleted()}
#: Maximum acts examined to find one that can be undone at least in part.
_LOOKED_AT = 20


def acts_of(vault: Vault, operator: str) -> History:
    """List the operator's acts that can be undone, and those that can be redone, newest first.

    Raises UnlockError, StoreUnavailable.
    """
    return history(vault, operator, _KINDS)


def plan_of_act(vault: Vault, act: PastAct, *, again: bool = False) -> Plan:
    """Plan what undoing an act (or doing it again) would do now. Changes nothing.

    Raises TamperedError, StoreFormat, StoreUnavailable.
    """
    kind = _KINDS[act.event.action]
    return Plan(act, again, kind.what(act), kind.plan(vault, act, again=again))


def next_plan(vault: Vault, operator: str, *, again: bool = False) -> Plan | None:
    """Plan what `z` would do: undo the operator's last act that can be undone at least in part, or do one `again`.

    None if there is no such act. Raises UnlockError, StoreUnavailable.
    """
    return next((plan for plan in _plans(vault, operator, again) if plan.told.does), None)


def plans(vault: Vault, operator: str, *, again: bool = False) -> list[Plan]:
    """Plan each act that `z` would examine, newest first.

    Raises UnlockError, StoreUnavailable.
    """
    return list(_plans(vault, operator, again))


def _plans(vault: Vault, operator: str, again: bool) -> Iterator[Plan]:
    found = acts_of(vault, operator)
    for act in (found.taken_back if again else found.done)[:_LOOKED_AT]:
        try:
            yield plan_of_act(vault, act, again=again)
        except MailholdError as error:
            yield Plan(act, again, _KINDS[act.event.action].what(act), Told((), (str(error),)))


def carry_out(
    vault: Vault,
    plan: Plan,
    *,
    operator: str,
    progress: Progress = lambda _done, _of: None,
    cancelled: Cancelled = lambda: False,
) -> Told:
    """Carry out a plan as far as it still holds. Returns what was done, and what was not and why.

    Does nothing if the act was undone (or redone) since the plan was made. If `cancelled`, the rest stays, and the
    act can be undone further. Raises TamperedError, StoreFormat, StoreUnavailable, UnlockError.
    """
    found = acts_of(vault, operator)
    if all(act.number != plan.act.number for act in (found.taken_back if plan.again else found.done)):
        return Told((), ("it was redone already" if plan.again else "it was undone already",))
    kind = _KINDS[plan.act.event.action]
    told = kind.do(vault, plan.act, again=plan.again, operator=operator, progress=progress, cancelled=cancelled)
    return told if told != Told() else Told((), ("nothing is left to do: someone else did it already",))
