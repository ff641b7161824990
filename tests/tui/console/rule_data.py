"""Rules and address lists for the tests of their sections."""

from __future__ import annotations

from store.judging.content import ContentPolicy
from store.judging.rules.address_lists import AddressLists, write_lists
from store.judging.rules.rules import IfDown, Rule, write_rules
from store.terms.verdicts import Action, Engine, Status
from store.vault.vault import Vault

LISTS = AddressLists(
    black=("*.bulk.example", "offers@shop.example", "bücher.example", "worse.example"),
    white=("partner.example",),
    user_black={"ceo@corp.example": ("news.example",)},
    user_white={"ceo@corp.example": ("old.friend@freemail.example",), "zoë@corp.example": ("shop.example",)},
)
RULES = (
    Rule(
        name="Finance [/foo]",
        recipients=("finance@corp.example", "payroll@corp.example", "*.bank.example"),
        every_recipient=True,
        actions={Engine.ANTI_VIRUS: {Status.INFECTED: Action.DISINFECT, Status.ENCRYPTED: Action.DELETE_ATTACHMENT}},
        content=ContentPolicy(banned_names=("*.exe", "*.scr"), banned_formats=("executable",), max_size=20 << 20),
        if_down={Engine.ANTI_VIRUS: IfDown.TEMPORARY_FAIL},
    ),
    Rule(
        name="Partners",
        senders=("partner.example",),
        networks=("192.0.2.0/24",),
        actions={Engine.ANTI_SPAM: {Status.SPAM: Action.SKIP}},
        scanners=("clamd",),
    ),
    Rule(name="Old newsletter rule", enabled=False, senders=("news@corp.example",)),
)


def fill(vault: Vault) -> None:
    """Write three rules before Default, numbered from 2, and lists of the organisation and of two users."""
    write_rules(vault, RULES, "root")
    write_lists(vault, LISTS, "root")
