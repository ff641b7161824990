"""The processing rules: numbered, named and ordered. The first one that matches a message decides on it.

The last rule is always Default (number 1): it has no conditions and is always enabled, so it judges all other messages.
A number is never reused, because copies in Backup name the rule that judged them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from store.authority import configuration
from store.authority.resetting import Part
from store.judging.rules.checks import check_networks, check_rule, check_rules
from store.judging.rules.model import (
    DEFAULT_ACTIONS,
    DEFAULT_ID,
    DEFAULT_RULE,
    FIRST_RULE,
    SCANNED,
    IfDown,
    Rule,
    actions_for,
)
from store.mail.incoming import Incoming

if TYPE_CHECKING:
    from store.vault.vault import Vault

__all__ = [
    "DEFAULT_ACTIONS",
    "DEFAULT_ID",
    "DEFAULT_RULE",
    "FIRST_RULE",
    "NO_RULES",
    "SCANNED",
    "IfDown",
    "Rule",
    "Rules",
    "actions_for",
    "change_rules",
    "changes_of",
    "check_networks",
    "check_rule",
    "check_rules",
    "first_match",
    "preview_rules",
    "read_rules",
    "write_first",
    "write_rules",
]

#: The name of this part of the configuration.
NAME = "rules"
CHANGED = "rules changed"


def first_match(rules: Iterable[Rule], incoming: Incoming) -> Rule:
    """Find the first enabled rule that matches; DEFAULT_RULE if none does. Never raises."""
    return next((rule for rule in rules if rule.enabled and rule.matches(incoming)), DEFAULT_RULE)


_FIRST = check_rules([FIRST_RULE])


class Rules(msgspec.Struct, frozen=True, array_like=True):
    """The rules in order, and the highest number ever assigned to one."""

    rules: tuple[Rule, ...]
    last_id: int


#: The rules in force until rules are written.
NO_RULES = Rules((DEFAULT_RULE,), DEFAULT_ID)


def read_rules(vault: Vault) -> tuple[Rule, ...]:
    """Read the rules in order, Default last. Raises TamperedError, StoreFormat."""
    return _read(vault)[0].rules


def write_rules(vault: Vault, rules: Sequence[Rule], operator: str = "") -> tuple[Rule, ...]:
    """Replace the rules in force, in this order. Return them as stored.

    Gives a number to each rule without one; appends the present Default if it is missing. Raises RuleError if a rule is
    invalid, TamperedError if the present rules do not verify (they are then not overwritten).
    """
    return change_rules(vault, lambda _: rules, operator)


def change_rules(
    vault: Vault, change: Callable[[tuple[Rule, ...]], Sequence[Rule]], operator: str = ""
) -> tuple[Rule, ...]:
    """Apply `change` to the rules in force, in one transaction, so that no concurrent change is lost.

    Return the new rules. Raises the errors of `write_rules`, and any error of `change`.
    """
    with vault.write():
        present, version = _read(vault)
        wanted = _completed(change(present.rules), present)
        rules = check_rules(wanted)
        last_id = max(present.last_id, *(rule.id for rule in rules))
        detail = "; ".join(changes_of(present.rules, rules))
        if detail:
            configuration.write(
                vault,
                NAME,
                Rules(rules, last_id),
                expected=version,
                operator=operator,
                action=CHANGED,
                detail=detail,
            )
    return rules


def preview_rules(vault: Vault, rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Compute the result of `write_rules` without writing. Raises as that does."""
    return check_rules(_completed(rules, _read(vault)[0]))


def changes_of(before: Sequence[Rule], after: Sequence[Rule]) -> list[str]:
    """Describe each changed rule and a changed order, one line each."""
    old = {rule.id: rule for rule in before}
    new = {rule.id: rule for rule in after}
    said = [f"rule {rule.id} ({rule.name}) removed" for rule in before if rule.id not in new]
    for rule in after:
        if rule.id not in old:
            said.append(f"rule {rule.id} ({rule.name}) added")
        elif rule != old[rule.id]:
            fields = [name for name in Rule.__struct_fields__ if getattr(rule, name) != getattr(old[rule.id], name)]
            said.append(f"rule {rule.id} ({rule.name}) changed: {', '.join(fields)}")
    if [rule.id for rule in before if rule.id in new] != [rule.id for rule in after if rule.id in old]:
        said.append(f"order: {', '.join(str(rule.id) for rule in after)}")
    return said


def _read(vault: Vault) -> tuple[Rules, int]:
    stored = configuration.read(vault, NAME, Rules)
    return (stored.value, stored.version) if stored else (NO_RULES, 0)


def _completed(rules: Sequence[Rule], present: Rules) -> list[Rule]:
    """Give numbers to the rules that have none, and append the present Default if it is missing.

    Engines missing from a rule's `if_down` are filled in from the new Default, and those missing there from the present
    Default.
    """
    next_id = max([present.last_id, *(rule.id for rule in rules)]) + 1
    numbered = []
    for rule in rules:
        if rule.id == 0:
            rule = msgspec.structs.replace(rule, id=next_id)
            next_id += 1
        numbered.append(rule)
    former = next(rule for rule in present.rules if rule.id == DEFAULT_ID)
    if not any(rule.id == DEFAULT_ID for rule in numbered):
        numbered.append(former)
    default = next(rule for rule in numbered if rule.id == DEFAULT_ID)
    if_down = {**{engine: former.down_for(engine) for engine in SCANNED}, **default.if_down}
    return [msgspec.structs.replace(rule, if_down={**if_down, **rule.if_down}) for rule in numbered]


def _fresh(known: configuration.Salvage[Rules]) -> Rules:
    """Return a new store's rules. Numbers that are known to be assigned are not used again."""
    used = [known.former.value.last_id] if known.former else []
    used += [known.held.last_id] if known.held else []
    return Rules(_FIRST, max([DEFAULT_ID, *used]))


def write_first(vault: Vault) -> None:
    """Write the rules of a new store."""
    configuration.write(vault, NAME, Rules(_FIRST, DEFAULT_ID), expected=0)


def _shown(rules: Rules) -> str:
    return f"{len(rules.rules):,} rules: {', '.join(f'{rule.id} ({rule.name})' for rule in rules.rules)}"


#: The part of the configuration that `mailhold rules reset` rewrites.
PART = Part(NAME, "rules", Rules, _fresh, _shown, CHANGED, "rules reset")
