"""Writing a part of the configuration anew that does not verify any more: the settings, the rules, the address lists.

Nothing else writes over what does not verify, so an operator decides that what it held is lost. What can still be known
is shown before: the newest former version, what the damaged row holds where it opens, and the last changes by the audit
trail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from store.authority import audit, configuration
from store.terms.errors import StoreError

if TYPE_CHECKING:
    from store.authority.audit import Event
    from store.authority.configuration import Salvage
    from store.vault.reader import Reader

T = TypeVar("T")

#: How many of the last changes are shown, and how many events are looked through for them.
_CHANGES, _LOOKED_THROUGH = 3, 2000


class Part(NamedTuple, Generic[T]):
    """A part of the configuration that can be written anew: `name` is its name in the store, `called` that for readers.

    `fresh` makes what a new store has, with what is known of the former; `shown` is a value in a line of words, NOT
    safe for a terminal. `changed` and `reset` are the actions of its events.
    """

    name: str
    called: str
    kind: type[T]
    fresh: Callable[[Salvage[T]], T]
    shown: Callable[[T], str]
    changed: str
    reset: str


class Damaged(NamedTuple, Generic[T]):
    """What is known of a part: what does not verify (as `Salvage` says), and its last changes, newest first."""

    salvage: Salvage[T]
    changes: list[Event]


def look(vault: Reader, part: Part[T]) -> Damaged[T] | None:
    """Say what is wrong with a part and what can still be known of it; None if all of it verifies."""
    found = configuration.salvage(vault, part.name, part.kind)
    if not found.problem and not found.damaged:
        return None
    return Damaged(found, _last_changes(vault, part))


def write_anew(vault: Reader, part: Part[T], damaged: Damaged[T], *, former: bool = False, operator: str = "") -> None:
    """Put what a new store has in the place of what does not verify, in one transaction with the event that says so.

    With `former`, put the newest former version there instead. Where only rows beside the newest version are damaged,
    that version stays, and they go. Raises StoreError where no former version verifies, UnlockError.
    """
    found = damaged.salvage
    if found.problem and former and found.former is None:
        raise StoreError(
            f"No former version of the {part.called} verifies: without --former they become as in a new store."
        )
    value = found.former.value if found.former and (former or not found.problem) else part.fresh(found)
    what = (
        f"as version {found.former.version}" if found.former and (former or not found.problem) else "as in a new store"
    )
    detail = f"{what}: {part.shown(value)}; before: {found.problem or 'a former version did not verify'}"
    configuration.reset(vault, part.name, value, operator=operator, action=part.reset, detail=detail)


def _last_changes(vault: Reader, part: Part[T]) -> list[Event]:
    found: list[Event] = []
    before, seen = None, 0
    while len(found) < _CHANGES and seen < _LOOKED_THROUGH:
        page = audit.events(vault, 500, before, lenient=True)
        if not page:
            break
        found += [event for event in page if event.action in (part.changed, part.reset)]
        before, seen = page[-1].id, seen + len(page)
    return found[:_CHANGES]
