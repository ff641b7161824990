"""Reset a part of the configuration that no longer verifies: the settings, the rules, or the address lists.

Nothing else overwrites damaged configuration, so that an operator decides on its loss. Before, the console shows what
can still be recovered: the newest former version, the content of the damaged row if it can be decrypted, and the last
changes from the audit trail.
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

#: Changes that are shown, and max events searched for them.
_CHANGES, _LOOKED_THROUGH = 3, 2000


class Part(NamedTuple, Generic[T]):
    """A part of the configuration that can be reset: `name` is its name in the store, `called` its name in texts.

    `fresh` makes the value of a new store, given what was recovered; `shown` formats a value on a line, NOT safe for a
    terminal. `changed` and `reset` are the actions of its audit events.
    """

    name: str
    called: str
    kind: type[T]
    fresh: Callable[[Salvage[T]], T]
    shown: Callable[[T], str]
    changed: str
    reset: str


class Damaged(NamedTuple, Generic[T]):
    """What can be recovered of a damaged part: see `Salvage`; and its last changes, newest first."""

    salvage: Salvage[T]
    changes: list[Event]


def look(vault: Reader, part: Part[T]) -> Damaged[T] | None:
    """Find out what is wrong with a part and what can be recovered; None if all of it verifies."""
    found = configuration.salvage(vault, part.name, part.kind)
    if not found.problem and not found.damaged:
        return None
    return Damaged(found, _last_changes(vault, part))


def write_anew(vault: Reader, part: Part[T], damaged: Damaged[T], *, former: bool = False, operator: str = "") -> None:
    """Replace a damaged part by a new store's value, with an audit event in the same transaction.

    With `former`, by the newest former version that verifies. If only former versions are damaged, they are deleted,
    and the newest stays in force. Raises StoreError if no former version verifies, UnlockError.
    """
    found = damaged.salvage
    if found.problem and former and found.former is None:
        raise StoreError(
            f"No former version of the {part.called} verifies. Without --former they are reset to those of a new store."
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
