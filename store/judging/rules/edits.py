"""Add, remove, move and enable rules, as pure functions. Default always stays last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from store.judging.rules.model import DEFAULT_ID, Rule
from store.terms.errors import RuleError


def find_rule(rules: Iterable[Rule], rule_id: int) -> Rule:
    """Find the rule with this number. Raises RuleError if there is none."""
    for rule in rules:
        if rule.id == rule_id:
            return rule
    raise RuleError(f"Rule {rule_id} does not exist. It may have been removed.")


def with_rule(rules: Sequence[Rule], rule: Rule) -> list[Rule]:
    """Replace the rule that has `rule`'s number; append a new rule (number 0) just before Default.

    Raises RuleError if no rule has that number.
    """
    if rule.id:
        find_rule(rules, rule.id)
        return [rule if other.id == rule.id else other for other in rules]
    return [*(other for other in rules if other.id != DEFAULT_ID), rule, find_rule(rules, DEFAULT_ID)]


def without_rule(rules: Sequence[Rule], rule_id: int) -> list[Rule]:
    """Remove a rule. Raises RuleError if there is none with this number, and for Default."""
    find_rule(rules, rule_id)
    if rule_id == DEFAULT_ID:
        raise RuleError("Default cannot be removed: it judges the messages that no other rule matches.")
    return [rule for rule in rules if rule.id != rule_id]


def moved(rules: Sequence[Rule], rule_id: int, position: int) -> list[Rule]:
    """Move a rule to `position` (from 1, clamped to the ends). Raises RuleError as `without_rule`."""
    if rule_id == DEFAULT_ID:
        raise RuleError(
            "Default cannot be moved: it is last, because it judges the messages that no other rule matches."
        )
    rule = find_rule(rules, rule_id)
    others = without_rule(rules, rule_id)
    at = min(max(position, 1), len(others)) - 1
    return [*others[:at], rule, *others[at:]]


def with_enabled(rules: Sequence[Rule], rule_id: int, enabled: bool) -> list[Rule]:
    """Enable or disable a rule. Raises RuleError if there is none with this number, and on disabling Default."""
    rule = find_rule(rules, rule_id)
    if rule_id == DEFAULT_ID and not enabled:
        raise RuleError("Default cannot be disabled: it judges the messages that no other rule matches.")
    return with_rule(rules, msgspec.structs.replace(rule, enabled=enabled))
