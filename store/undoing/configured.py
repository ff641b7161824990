"""Undo acts that changed the settings, rules, address lists, saved filters, or marks of campaigns.

The configuration keeps the versions before and after the act. A value that still is as the act left it is set back to
its former value; a value changed since stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from store.authority import configuration
from store.authority import settings as settings_module
from store.authority.settings import Settings
from store.campaigns import marks
from store.campaigns.marks import Marks
from store.filters import saved
from store.filters.saved import SavedFilter
from store.judging.rules import address_lists, rules
from store.judging.rules.address_lists import AddressLists, each_list, with_entries
from store.judging.rules.rules import Rules
from store.terms.errors import RuleError
from store.terms.progress import Cancelled, Progress
from store.undoing.marks import merged_marks
from store.undoing.merging import in_order, without_change, without_entries
from store.undoing.plans import Told
from store.vault.counters import counters

if TYPE_CHECKING:
    from store.undoing.plans import PastAct
    from store.vault.vault import Vault

T = TypeVar("T")

_TOO_OLD = "it is too long ago: the version before it is no longer kept"
_MAX_SIZE = "max_size stays: a smaller maximum would delete copies for good, so change it in the settings"


class Merged(NamedTuple, Generic[T]):
    """A merged value, what it changes, and what stays as it is and why."""

    value: T
    changes: list[str]
    stays: list[str]


class Part(NamedTuple, Generic[T]):
    """A configuration that can be undone. `merge` is called with its values before the act, after it, and now."""

    name: str
    called: str
    kind: type[T]
    first: T
    merge: Callable[[T, T, T], Merged[T]]
    #: Called with the value now and the merged one: leaves out changes that the store does not allow.
    allowed: Callable[[Vault, T, Merged[T]], Merged[T]] = lambda _vault, _present, merged: merged


class Configured(Generic[T]):
    """Acts that changed one configuration."""

    def __init__(self, part: Part[T]) -> None:
        self._part = part

    def what(self, act: PastAct) -> str:
        """Describe the act in a few words."""
        return f"{act.event.action}: {act.event.detail}" if act.event.detail else act.event.action

    def plan(self, vault: Vault, act: PastAct, *, again: bool) -> Told:
        """Plan what undoing the act would change. Raises TamperedError, StoreFormat, StoreUnavailable."""
        return self._told(self._merged(vault, act, again))

    def do(
        self, vault: Vault, act: PastAct, *, again: bool, operator: str, progress: Progress, cancelled: Cancelled
    ) -> Told:
        """Undo the act, in one transaction with its event. Raises as `plan` does."""
        with vault.write():
            merged = self._merged(vault, act, again)
            if merged is not None and merged.changes:
                stored = configuration.read(vault, self._part.name, self._part.kind)
                configuration.write(
                    vault,
                    self._part.name,
                    merged.value,
                    expected=stored.version if stored else 0,
                    operator=operator,
                    action=act.event.action,
                    detail=f"{'redone' if again else 'undone'}: {'; '.join(merged.changes)}",
                    undoes=-act.number if again else act.number,
                )
        return self._told(merged)

    def _merged(self, vault: Vault, act: PastAct, again: bool) -> Merged[T] | None:
        part, written = self._part, act.event.versions.get(self._part.name, 0)
        after: T | None = None
        former = part.first if written == 1 else None
        for each in configuration.kept(vault, part.name, part.kind):
            if each.version < written:
                former = each.value
                break
            # Compare times, not versions: a new configuration key raises the version.
            if each.changed_at == act.event.at:
                after = each.value
        if after is None or former is None:
            return None
        stored = configuration.read(vault, part.name, part.kind)
        present = stored.value if stored else part.first
        merged = part.merge(after, former, present) if again else part.merge(former, after, present)
        return part.allowed(vault, present, merged)

    def _told(self, merged: Merged[T] | None) -> Told:
        if merged is None:
            return Told((), (_TOO_OLD,))
        return Told(tuple(merged.changes), tuple(merged.stays))


def _changed_since(what: str) -> str:
    return f"{what} stays as it is: it was changed again later"


def merge_settings(before: Settings, after: Settings, present: Settings) -> Merged[Settings]:
    """Undo an act's changes to the settings."""
    fields = Settings.__struct_fields__
    was, left, now = ({name: (getattr(each, name),) for name in fields} for each in (before, after, present))
    merged, kept = without_change(was, left, now)
    stays = [_changed_since(name) for name in kept]
    value = Settings(**{name: value for name, (value,) in merged.items()})
    return Merged(value, settings_module.changes_of(present, value), stays)


def keep_copies(vault: Vault, present: Settings, merged: Merged[Settings]) -> Merged[Settings]:
    """Leave out a smaller maximum if what Backup and the bin use does not fit in it."""
    if merged.value.max_size >= present.max_size:
        return merged
    with vault.reading():
        used = counters(vault.db).all_bytes
    if used <= merged.value.max_size:
        return merged
    value = msgspec.structs.replace(merged.value, max_size=present.max_size)
    return Merged(value, settings_module.changes_of(present, value), [*merged.stays, _MAX_SIZE])


def merge_lists(before: AddressLists, after: AddressLists, present: AddressLists) -> Merged[AddressLists]:
    """Undo an act's changes to the address lists."""
    value = present
    for user, color in dict.fromkeys((user, color) for each in (before, after) for user, color, _ in each_list(each)):
        entries = [each.of(color, user) for each in (before, after, present)]
        value = with_entries(value, color, sorted(without_entries(*entries)), user)
    try:
        value = address_lists.check_lists(value)
    except RuleError as error:
        return Merged(present, [], [str(error)])
    return Merged(value, address_lists.changes_of(present, value), [])


def merge_rules(before: Rules, after: Rules, present: Rules) -> Merged[Rules]:
    """Undo an act's changes to the rules and, if nobody changed it since, to their order."""
    was, left, now = ({rule.id: rule for rule in each.rules} for each in (before, after, present))
    merged, kept = without_change(was, left, now)
    both = [number for number in was if number in left]
    moved = both != [number for number in left if number in was]
    common = [number for number in left if number in now]
    untouched = common == [number for number in now if number in left]
    ordered = in_order(merged, list(was), list(now), restore=lambda: moved and untouched)
    stays = [_changed_since(f"rule {number} ({now[number].name})") for number in kept if number in now]
    stays += [f"rule {number} does not come back: it was removed later" for number in kept if number not in now]
    if moved and not untouched:
        stays.append(_changed_since("the order of the rules"))
    try:
        value = Rules(rules.check_rules(ordered), max(before.last_id, after.last_id, present.last_id))
    except RuleError as error:
        return Merged(present, [], [*stays, str(error)])
    return Merged(value, rules.changes_of(present.rules, value.rules), stays)


def merge_filters(
    before: tuple[SavedFilter, ...], after: tuple[SavedFilter, ...], present: tuple[SavedFilter, ...]
) -> Merged[tuple[SavedFilter, ...]]:
    """Undo an act's changes to the saved filters."""
    was, left, now = ({saved.key_of(each.name): each for each in filters} for filters in (before, after, present))
    merged, kept = without_change(was, left, now)
    stays = [_changed_since(f"the filter {(left.get(key) or was[key]).name}") for key in kept]
    if len(merged) > saved.MAX_FILTERS:
        return Merged(
            present,
            [],
            [*stays, f"there are {saved.MAX_FILTERS} saved filters already, the maximum: delete one first"],
        )
    value = tuple(merged[key] for key in sorted(merged))
    changes = [f"filter removed: {now[key].name}" for key in now if key not in merged]
    changes += [f"filter saved: {each.name}: {each.line}" for key, each in merged.items() if now.get(key) != each]
    return Merged(value, changes, stays)


def merge_marks(before: Marks, after: Marks, present: Marks) -> Merged[Marks]:
    """Undo an act's changes to the marks of campaigns."""
    return Merged(*merged_marks(before, after, present))


_FILTERS: type[tuple[SavedFilter, ...]] = tuple[SavedFilter, ...]
PARTS: tuple[tuple[tuple[str, ...], Part[Any]], ...] = (
    (
        (settings_module.CHANGED,),
        Part(settings_module.NAME, "settings", Settings, Settings(), merge_settings, keep_copies),
    ),
    ((rules.CHANGED,), Part(rules.NAME, "rules", Rules, rules.NO_RULES, merge_rules)),
    ((address_lists.CHANGED,), Part(address_lists.NAME, "address lists", AddressLists, AddressLists(), merge_lists)),
    ((saved.SAVED, saved.REMOVED), Part(saved.NAME, "saved filters", _FILTERS, (), merge_filters)),
    (marks.ACTIONS, Part(marks.NAME, "campaigns", Marks, Marks(), merge_marks)),
)
