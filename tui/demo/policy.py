"""The demo's rules and address lists: those that the copies in its Backup name."""

from __future__ import annotations

from typing import Any

from store.judging.content import ContentPolicy
from store.judging.rules.address_lists import AddressLists, write_lists
from store.judging.rules.rules import DEFAULT_RULE, IfDown, Rule, write_rules
from store.terms.verdicts import Action, Engine, Status
from store.vault.vault import Vault
from tui.demo.scenarios import RULES as NAMES

_EXECUTABLE = ContentPolicy(banned_names=("*.exe", "*.scr", "*.js", "*.iso"), banned_formats=("executable",))
_CONDITIONS: dict[int, dict[str, Any]] = {
    3: {
        "recipients": ("ap@example.org", "payroll@example.org", "ines.*@example.org"),
        "content": ContentPolicy(
            banned_names=(*_EXECUTABLE.banned_names, "*.html", "*.zip"),
            banned_formats=("executable", "archive"),
            max_size=20 << 20,
        ),
        "if_down": {Engine.ANTI_VIRUS: IfDown.TEMPORARY_FAIL, Engine.ANTI_PHISHING: IfDown.TEMPORARY_FAIL},
        "actions": {Engine.ANTI_VIRUS: {Status.ENCRYPTED: Action.DELETE_MESSAGE}},
    },
    4: {
        "recipients": ("board@example.org", "ruth.*@example.org"),
        "actions": {Engine.ANTI_SPAM: {Status.PROBABLE_SPAM: Action.DELETE_MESSAGE}},
        "content": _EXECUTABLE,
    },
    11: {"recipients": ("tokyo.example.org",), "content": _EXECUTABLE},
    6: {
        "senders": ("*-partners.example", "*-logistik.example", "*-parts.example", "*-metal.example"),
        "actions": {
            Engine.ANTI_VIRUS: {Status.INFECTED: Action.DISINFECT},
            Engine.ANTI_SPAM: {Status.SPAM: Action.SKIP},
        },
    },
    8: {"recipients": ("*-dev@example.org", "lists.example.org"), "enabled": False},
    2: {"networks": ("0.0.0.0/0", "::/0"), "content": _EXECUTABLE},
}
_LISTS = AddressLists(
    black=("*.bulk-offers.example", "pills.example", "noreply@prize-draw.example"),
    white=("partners.example", "newsletter@chamber.example"),
    user_black={"ruth.feldman@example.org": ("recruiting.example",)},
    user_white={"ap@example.org": ("invoices@office-supplies.example",)},
)


def write_policy(vault: Vault, operator: str) -> None:
    """Put the rules and the lists in force."""
    names = {rule.id: rule.name for rule in NAMES}
    rules = [Rule(id=number, name=names[number], **fields) for number, fields in _CONDITIONS.items()]
    write_rules(vault, [*rules, DEFAULT_RULE], operator)
    write_lists(vault, _LISTS, operator)
