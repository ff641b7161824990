"""The demo's rules and address lists; the copies in its Backup refer to these rules."""

from __future__ import annotations

from functools import cache
from random import Random

from store.judging.rules.address_lists import write_lists
from store.judging.rules.lists_text import parse_lists
from store.judging.rules.rules import DEFAULT_RULE, Rule, write_rules
from store.judging.rules.toml_form import parse_rules
from store.vault.vault import Vault
from tui.demo.texts.reading import text_of


@cache
def rules() -> dict[int, Rule]:
    """Return the rules with their numbers, in order, Default last."""
    return {rule.id: rule for rule in (*parse_rules(text_of("rules.toml")), DEFAULT_RULE)}


def rule_for(recipients: tuple[str, ...], sender: str, rng: Random) -> Rule:
    """Choose the rule that judged a message: by its recipients, then by its sender."""
    first = recipients[0] if recipients else ""
    if first.startswith(("ap@", "payroll@", "ines.")):
        return rules()[3]
    if first.startswith(("board@", "ruth.")):
        return rules()[4]
    if first.endswith("@tokyo.example.org"):
        return rules()[11]
    if sender.endswith(("-partners.example", "-logistik.example", "-parts.example", "-metal.example")):
        return rules()[6]
    return DEFAULT_RULE if rng.random() < 0.15 else rules()[2]


def write_policy(vault: Vault, operator: str) -> None:
    """Write the rules and the lists to the store."""
    write_rules(vault, [*rules().values()], operator)
    write_lists(vault, parse_lists(text_of("lists.toml")), operator)
