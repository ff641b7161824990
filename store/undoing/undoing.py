"""Taking back the last act of an operator, and doing again what was taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store.authority.acts import BIN
from store.delivery.queue import QUEUED
from store.terms.errors import MailholdError
from store.undoing.configured import PARTS, Configured
from store.undoing.deleted import Deleted
from store.undoing.history import History, history
from store.undoing.plans import Cancelled, Kind, Plan, Progress, Told
from store.undoing.released import Released

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.undoing.plans import PastAct
    from store.vault.vault import Vault

_KINDS: dict[str, Kind] = {action: Configured[Any](part) for actions, part in PARTS for action in actions}
_KINDS |= {QUEUED: Released(), BIN: Deleted()}
#: So many acts are looked at for one of which something can be taken back.
_LOOKED_AT = 20


def acts_of(vault: Vault, operator: str) -> History:
    """List the operator's acts that can be taken back, and those that can be done again, newest first.

    Raises UnlockError, StoreUnavailable.
    """
    return history(vault, operator, _KINDS)


def plan_of_act(vault: Vault, act: PastAct, *, again: bool = False) -> Plan:
    """Plan taking an act back (or doing it again) as things stand now. Changes nothing.

    Raises TamperedError, StoreFormat, StoreUnavailable.
    """
    kind = _KINDS[act.event.action]
    return Plan(act, again, kind.what(act), kind.plan(vault, act, again=again))


def next_plan(vault: Vault, operator: str, *, again: bool = False) -> Plan | None:
    """Plan what `z` would do: the operator's last act of which something can be taken back, or be done `again`.

    None where there is none. Raises UnlockError, StoreUnavailable.
    """
    return next((plan for plan in _plans(vault, operator, again) if plan.told.does), None)


def plans(vault: Vault, operator: str, *, again: bool = False) -> list[Plan]:
    """All acts that `z` would look at, newest first, each with what taking it back does as things stand now.

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
    """Do what a plan says, as far as it is still so; returns what was done, and what was not and why.

    Nothing is done where somebody took the act back (or did it again) since the plan was made. What is `cancelled`
    leaves the rest as it is, and the act can be taken back further. Raises TamperedError,
    StoreFormat, StoreUnavailable, UnlockError.
    """
    found = acts_of(vault, operator)
    if all(act.number != plan.act.number for act in (found.taken_back if plan.again else found.done)):
        return Told((), ("it was done again already" if plan.again else "it was taken back already",))
    kind = _KINDS[plan.act.event.action]
    told = kind.do(vault, plan.act, again=plan.again, operator=operator, progress=progress, cancelled=cancelled)
    return told if told != Told() else Told((), ("nothing is left to do: somebody was faster",))
