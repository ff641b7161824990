"""Rules: which one matches, their defaults, invalid rules, and their stored form."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.authority import audit
from store.judging.content import ContentPolicy
from store.judging.rules.rules import (
    DEFAULT_ACTIONS,
    DEFAULT_ID,
    DEFAULT_RULE,
    FIRST_RULE,
    SCANNED,
    IfDown,
    Rule,
    actions_for,
    change_rules,
    check_networks,
    check_rule,
    check_rules,
    first_match,
    preview_rules,
    read_rules,
    write_first,
    write_rules,
)
from store.mail.incoming import Incoming
from store.terms.errors import RuleError, StoreFormat, TamperedError
from store.terms.verdicts import Action, Engine, Status, statuses_of
from store.vault.vault import Vault


def incoming(
    sender: str = "ann@example.com", *recipients: str, client: str = "192.0.2.7", raw: bytes = b"Subject: x\r\n\r\nx"
) -> Incoming:
    return Incoming(raw, sender, list(recipients or ("bob@corp.example",)), client_address=client)


@pytest.mark.parametrize(
    ("conditions", "message", "matches"),
    [
        ({}, incoming(), True),
        ({}, Incoming(b"", "", []), True),
        ({"senders": ("example.com",)}, incoming(), True),
        ({"senders": ("other.org", "ann@*")}, incoming(), True),
        ({"senders": ("other.org",)}, incoming(), False),
        ({"senders": ("<>",)}, incoming(""), True),
        ({"recipients": ("bob@corp.example",)}, incoming(), True),
        ({"recipients": ("bob@corp.example",)}, incoming("a@b.c", "eve@corp.example", "Bob@corp.example"), True),
        (
            {"recipients": ("bob@corp.example",), "every_recipient": True},
            incoming("a@b.c", "eve@x.y", "bob@x.y"),
            False,
        ),
        ({"recipients": ("corp.example",), "every_recipient": True}, incoming("a@b.c", "e@corp.example"), True),
        ({"recipients": ("corp.example",), "every_recipient": True}, Incoming(b"", "a@b.c", []), False),
        ({"recipients": ("corp.example",)}, Incoming(b"", "a@b.c", []), False),
        ({"networks": ("192.0.2.0/24",)}, incoming(), True),
        ({"networks": ("198.51.100.0/24",)}, incoming(), False),
        ({"networks": ("192.0.2.0/24",)}, incoming(client="::ffff:192.0.2.9"), True),
        ({"networks": ("2001:db8::/32",)}, incoming(client="IPv6:2001:db8::1"), True),
        ({"networks": ("2001:db8::/32",)}, incoming(client="[2001:db8::1]"), True),
        ({"networks": ("0.0.0.0/0", "::/0")}, incoming(client=""), False),
        ({"networks": ("0.0.0.0/0", "::/0")}, incoming(client="/run/socket"), False),
        ({"senders": ("example.com",), "networks": ("198.51.100.0/24",)}, incoming(), False),
    ],
)
def test_conditions_must_all_hold(conditions: dict[str, Any], message: Incoming, matches: bool) -> None:
    assert Rule(id=2, name="x", **conditions).matches(message) is matches


def test_the_first_enabled_rule_that_matches_wins() -> None:
    rules = (
        Rule(id=5, name="off", enabled=False),
        Rule(id=4, name="other", senders=("other.org",)),
        Rule(id=3, name="ours", senders=("example.com",)),
        Rule(id=2, name="also", senders=("ann@example.com",)),
        DEFAULT_RULE,
    )
    assert first_match(rules, incoming()).id == 3
    assert first_match(rules, incoming("x@else.org")).id == 1
    assert first_match((), incoming()) is DEFAULT_RULE


@given(st.text(), st.lists(st.text(), max_size=3), st.text())
def test_no_envelope_makes_a_rule_raise(sender: str, recipients: list[str], client: str) -> None:
    rule = Rule(id=2, name="x", senders=("*a*@b.c",), recipients=("x.y", "*.z"), networks=("::/0", "10.0.0.0/8"))
    first_match([rule], Incoming(b"", sender, recipients, client_address=client))


@pytest.mark.parametrize("engine", list(Engine))
def test_every_status_has_a_default_action_that_is_possible(engine: Engine) -> None:
    assert set(DEFAULT_ACTIONS[engine]) == statuses_of(engine)
    for status in statuses_of(engine):
        assert DEFAULT_RULE.action_for(engine, status) in actions_for(engine, status)
    assert DEFAULT_RULE.action_for(engine, Status.CLEAN) is Action.SKIP
    assert DEFAULT_RULE.action_for(engine, Status.NOT_SCANNED) is Action.SKIP


def test_only_where_an_attachment_can_be_to_blame_it_is_taken_off() -> None:
    assert actions_for(Engine.ANTI_VIRUS, Status.INFECTED) == tuple(Action)
    for engine, status in (
        (Engine.ANTI_SPAM, Status.SPAM),
        (Engine.CONTENT, Status.SIZE_EXCEEDED),
        (Engine.BLACK_LIST, Status.BLACKLISTED),
    ):
        assert actions_for(engine, status) == (Action.SKIP, Action.DELETE_MESSAGE, Action.REJECT)
    assert Action.DISINFECT not in actions_for(Engine.CONTENT, Status.BANNED_FILE_NAME)


def test_a_rule_is_kept_whole_and_tidy() -> None:
    rule = check_rule(
        Rule(
            id=7,
            name="  Partners \n of  ours ",
            senders=("@Example.com", "example.com"),
            networks=(" 192.0.2.9/24", "192.0.2.0/24", "2001:db8::1"),
            actions={Engine.ANTI_SPAM: {Status.SPAM: Action.REJECT}},
            if_down={Engine.ANTI_VIRUS: IfDown.TEMPORARY_FAIL},
            content=ContentPolicy(banned_names=("*.exe", " *.exe "), banned_formats=("Executable",)),
            scanners=("clamd", "clamd"),
        )
    )
    assert rule.name == "Partners of ours"
    assert rule.senders == ("Example.com",)
    assert rule.networks == ("192.0.2.0/24", "2001:db8::1/128")
    assert rule.action_for(Engine.ANTI_SPAM, Status.SPAM) is Action.REJECT
    assert rule.actions[Engine.ANTI_VIRUS] == DEFAULT_ACTIONS[Engine.ANTI_VIRUS]
    assert rule.if_down == {Engine.ANTI_VIRUS: IfDown.TEMPORARY_FAIL}
    assert rule.content == ContentPolicy(banned_names=("*.exe",), banned_formats=("executable",))
    assert rule.scanners == ("clamd",)
    assert check_rule(rule) == rule


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        ({"name": " "}, "name", "needs a name"),
        ({"name": "x" * 61}, "name", "at most 60"),
        ({"name": "a\x1bb"}, "name", "cannot be shown"),
        ({"id": -3}, "id", "between 1"),
        ({"id": 10**9}, "id", "between 1"),
        ({"senders": ("a b",)}, "senders", "not a pattern"),
        ({"recipients": ("",)}, "recipients", "not a pattern"),
        ({"networks": ("10.0.0.0/40",)}, "networks", "not a network"),
        ({"networks": ("example.com",)}, "networks", "not a network"),
        ({"senders": tuple(f"d{n}.org" for n in range(2001))}, "senders", "at most 2,000"),
        ({"actions": {Engine.ANTI_SPAM: {Status.INFECTED: Action.SKIP}}}, "actions.anti-spam", "does not assign"),
        ({"actions": {Engine.ANTI_SPAM: {Status.SPAM: Action.DISINFECT}}}, "actions.anti-spam.spam", "not possible"),
        ({"if_down": {Engine.CONTENT: IfDown.GO_ON}}, "if_down.content", "never down"),
        ({"content": ContentPolicy(banned_names=("",))}, "content.banned_names", "not a name"),
        ({"content": ContentPolicy(banned_formats=("a\x00",))}, "content.banned_formats", "not a format"),
        ({"content": ContentPolicy(banned_formats=("exe",))}, "content.banned_formats", "one of executable"),
        ({"content": ContentPolicy(max_size=-1)}, "content.max_size", "negative"),
        ({"scanners": ("cl amd",)}, "scanners", "not a name of a scanner"),
        ({"id": 1, "senders": ("a.b",)}, "enabled", "no conditions"),
        ({"id": 1, "enabled": False}, "enabled", "always enabled"),
    ],
)
def test_what_is_no_rule(wrong: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(RuleError, match=says) as error:
        check_rule(Rule(**{"id": 9, "name": "mine", **wrong}))
    assert error.value.field == field
    assert str(error.value).startswith("Rule ")


def test_rules_must_differ_in_number_and_name_and_end_in_default() -> None:
    a, b = Rule(id=2, name="A"), Rule(id=3, name="b")
    assert [rule.id for rule in check_rules([a, b, DEFAULT_RULE])] == [2, 3, 1]
    with pytest.raises(RuleError, match="ID 2"):
        check_rules([a, Rule(id=2, name="c"), DEFAULT_RULE])
    with pytest.raises(RuleError, match="named 'a'"):
        check_rules([a, Rule(id=4, name="a"), DEFAULT_RULE])
    for rules in ([], [a], [DEFAULT_RULE, a]):
        with pytest.raises(RuleError, match="must be last"):
            check_rules(rules)
    with pytest.raises(RuleError, match="at most 500"):
        check_rules([Rule(id=n, name=f"r{n}") for n in range(501, 0, -1)])


def test_networks_are_written_one_way() -> None:
    assert check_networks(["192.0.2.1", "10.1.2.3/8"]) == ("192.0.2.1/32", "10.0.0.0/8")


def test_written_and_read_again(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    assert read_rules(any_vault) == (DEFAULT_RULE,)
    written = write_rules(any_vault, [Rule(name="Partners", senders=("example.com",))], operator="ada")
    assert [(rule.id, rule.name) for rule in written] == [(2, "Partners"), (1, "Default")]
    assert read_rules(open_again()) == written
    (event,) = audit.events(any_vault)
    assert (event.operator, event.action) == ("ada", "rules changed")
    assert "rule 2 (Partners) added" in event.detail


@pytest.mark.parametrize("first", [DEFAULT_RULE, FIRST_RULE])
def test_what_a_rule_leaves_out_for_an_engine_that_is_down_is_as_in_default(vault: Vault, first: Rule) -> None:
    """A store made before its rules were written at once keeps its behaviour; a new one waits."""
    if first is FIRST_RULE:
        write_first(vault)
    assert read_rules(vault)[0].if_down == first.if_down
    by_hand = Rule(name="b", if_down={Engine.ANTI_SPAM: IfDown.GO_ON, Engine.ANTI_VIRUS: IfDown.TEMPORARY_FAIL})
    a, b, default = write_rules(vault, [Rule(name="a"), by_hand, Rule(id=DEFAULT_ID, name="Default")])
    assert a.if_down == default.if_down == first.if_down
    assert b.if_down == {**first.if_down, **by_hand.if_down}
    assert preview_rules(vault, [a, b, default]) == (a, b, default) == read_rules(vault)
    # An added rule inherits from the current Default.
    changed = msgspec.structs.replace(default, if_down={Engine.ANTI_VIRUS: IfDown.GO_ON})
    assert write_rules(vault, [Rule(name="c"), changed])[0].if_down == {**first.if_down, **changed.if_down}


def test_a_number_is_never_given_again(vault: Vault) -> None:
    write_rules(vault, [Rule(name="a"), Rule(name="b")])
    change_rules(vault, lambda rules: [rule for rule in rules if rule.name != "b"])
    added = change_rules(vault, lambda rules: [Rule(name="c"), *rules])
    assert [(rule.id, rule.name) for rule in added] == [(4, "c"), (2, "a"), (1, "Default")]


def test_the_event_says_what_changed(vault: Vault) -> None:
    write_rules(vault, [Rule(name="a"), Rule(name="b"), Rule(name="c")])

    def change(rules: tuple[Rule, ...]) -> list[Rule]:
        a, b, _, default = rules
        return [b, msgspec.structs.replace(a, enabled=False, senders=("x.org",)), default]

    change_rules(vault, change)
    detail = audit.events(vault)[0].detail
    assert "rule 4 (c) removed" in detail
    assert "rule 2 (a) changed: enabled, senders" in detail
    assert "order: 3, 2, 1" in detail


def test_what_changes_nothing_is_not_written(vault: Vault) -> None:
    rules = write_rules(vault, [Rule(name="a")])
    write_rules(vault, rules)
    assert len(audit.events(vault)) == 1


def test_a_rule_that_is_not_valid_changes_nothing(vault: Vault) -> None:
    before = write_rules(vault, [Rule(name="a")])
    with pytest.raises(RuleError):
        write_rules(vault, [Rule(name="b"), Rule(name="")])
    assert read_rules(vault) == before


def test_two_at_once_lose_nothing(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    vaults = [any_vault, open_again()]

    def work(number: int) -> None:
        for step in range(4):
            change_rules(vaults[number % 2], lambda rules, s=step: [Rule(name=f"{number}-{s}"), *rules])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rules = read_rules(any_vault)
    assert {rule.name for rule in rules} == {f"{n}-{s}" for n in range(4) for s in range(4)} | {"Default"}
    assert len({rule.id for rule in rules}) == 17


def test_rules_that_were_altered_are_not_used_or_written_over(vault: Vault) -> None:
    write_rules(vault, [Rule(name="a")])
    vault.models.Configuration.update(signature=b"x" * 64).execute()
    with pytest.raises(TamperedError, match="Rules"):
        read_rules(vault)
    with pytest.raises(TamperedError, match="Rules"):
        write_rules(vault, [Rule(name="b")])


def test_a_condition_of_a_newer_release_is_not_passed_over(vault: Vault) -> None:
    from store.authority import configuration

    rule = {**msgspec.to_builtins(DEFAULT_RULE), "countries": ["XX"]}
    configuration.write(vault, "rules", [[rule], 1])
    with pytest.raises(StoreFormat, match="newer release"):
        read_rules(vault)


def test_every_engine_that_can_be_down_is_an_engine_with_a_scanner() -> None:
    assert set(SCANNED) == set(Engine) - {Engine.CONTENT, Engine.BLACK_LIST}
