"""Rules and address lists as text: they are read back as written, and errors are named with their line."""

from __future__ import annotations

import re
import textwrap
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.helpers.toml_lines import Lines, load, string
from store.judging.content import ContentPolicy
from store.judging.rules.address_lists import AddressLists, check_lists
from store.judging.rules.lists_text import parse_list, parse_lists, print_list, print_lists
from store.judging.rules.rules import DEFAULT_RULE, SCANNED, IfDown, Rule, actions_for, check_rule, check_rules
from store.judging.rules.toml_form import parse_rules, print_rules
from store.terms.errors import RuleError, UsageError
from store.terms.verdicts import Action, Engine, Status, statuses_of

NAMES = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20).filter(lambda name: name.strip())
PATTERNS = st.lists(st.sampled_from(["a@b.c", "x.org", "*.y.org", "<>", "*'\\*@ü.example"]), max_size=3).map(tuple)
NETWORKS = st.lists(st.sampled_from(["10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32"]), max_size=2).map(tuple)
RULES = st.builds(
    Rule,
    id=st.integers(2, 10**6),
    name=NAMES,
    enabled=st.booleans(),
    senders=PATTERNS,
    recipients=PATTERNS,
    every_recipient=st.booleans(),
    networks=NETWORKS,
    actions=st.fixed_dictionaries(
        {
            e: st.fixed_dictionaries({s: st.sampled_from(actions_for(e, s)) for s in sorted(statuses_of(e))})
            for e in Engine
        }
    ),
    if_down=st.fixed_dictionaries({engine: st.sampled_from(IfDown) for engine in SCANNED}),
    content=st.builds(
        ContentPolicy,
        banned_names=st.lists(st.sampled_from(["*.exe", 'a"b', "# no comment"]), max_size=2).map(tuple),
        banned_formats=st.lists(st.sampled_from(["executable", "application/zip"]), max_size=2).map(tuple),
        max_size=st.integers(0, 2**40),
    ),
    scanners=st.none() | st.lists(st.sampled_from(["clamd", "rspamd"]), max_size=2).map(tuple),
).map(check_rule)


@given(st.lists(RULES, max_size=4, unique_by=(lambda rule: rule.id, lambda rule: rule.name.casefold())))
def test_what_is_written_is_read_back(rules: list[Rule]) -> None:
    assert parse_rules(print_rules(rules)) == tuple(rules)


def test_what_is_left_out_is_done_as_by_default() -> None:
    (rule,) = parse_rules('[[rule]]\nname = "x"\nactions.anti-spam.spam = "reject"\n')
    assert rule == check_rule(Rule(name="x", actions={Engine.ANTI_SPAM: {Status.SPAM: Action.REJECT}}))
    assert rule.id == 0
    assert parse_rules("") == ()
    (default,) = parse_rules(print_rules([DEFAULT_RULE]))
    assert check_rules([default]) == (default,)


GOOD = '[[rule]]\nname = "first"\n\n# a comment\n[[rule]]\nid = 7\nname = "second"\n'


@pytest.mark.parametrize(
    ("more", "line", "says"),
    [
        ("senders = ['a b']", 8, "rule 7 (second): 'a b' is not a pattern"),
        ("senders = 'a.b'", 8, "rule 'second': senders is not a list"),
        ("sender = ['a.b']", 8, "'sender' is unknown"),
        ("networks = ['10.0.0.0/99']", 8, "not a network"),
        ("\n\nenabled = 1", 10, "enabled is not true or false"),
        ("actions.anti-spam.spam = 'delete'", 8, "the action 'delete' is unknown; use skip, disinfect"),
        ("actions.anti-spam.spam = 'disinfect'", 8, "disinfect is not possible for spam"),
        ("actions.anti-spam.infected = 'skip'", 8, "the status 'infected' is unknown; use spam, probable-spam"),
        ("actions.antispam.spam = 'skip'", 8, "the engine 'antispam' is unknown"),
        ("actions.anti-spam = 'skip'", 8, "add a status"),
        ("actions = 'skip'", 8, "actions is not a table"),
        ("[rule.actions.anti-virus]\ninfected = 'skip'\ncorrupted = 'boom'", 10, "the action 'boom' is unknown"),
        ("if-down.content = 'go-on'", 8, "the engine 'content' is unknown; use anti-virus, anti-spam"),
        ("if-down.anti-virus = 'wait'", 8, "the choice 'wait' is unknown"),
        ("content.max-size = 'huge'", 8, "is not a size"),
        ("content.max-size = -5", 8, "negative"),
        ("content.max-size = 200", 8, "has no unit"),
        ("content.max-size = '200'", 8, "has no unit"),
        ("content.max-size = true", 8, "is not a size"),
        ("[rule.content]\nbanned = ['*.exe']", 9, "'banned' is unknown"),
        ("scanners = ['a b']", 8, "not a name of a scanner"),
        ("[[rule]]\nid = 'x'\nname = 'third'", 9, "its id is not a whole number"),
        ("[[rule]]\nenabled = true", 8, "it needs a name"),
        ("[[rule]]\nid = 1\nname='Default'\nenabled = false", 11, "always enabled"),
        ("senders = [", 8, "line"),
        ("x = = 1", 8, "the value after = is not valid"),
        ("[rules]", 8, "'rules' is unknown"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(more: str, line: int, says: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_rules(GOOD + more, "r.toml")
    text = str(error.value)
    assert text.startswith(f"r.toml, line {line}: "), text
    assert says in text


def test_a_single_bracket_is_explained() -> None:
    with pytest.raises(RuleError, match=r"r.toml, line 1: a rule begins with \[\[rule\]\]"):
        parse_rules("[rule]\nname='x'", "r.toml")


@given(st.text(max_size=60))
def test_any_text_is_read_or_a_clear_error(text: str) -> None:
    for parse in (parse_rules, parse_lists, parse_list):
        try:
            parse(text)
        except UsageError as error:
            assert ", line " in str(error)


@given(st.text())
def test_any_text_can_stand_in_a_string(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    assert tomllib.loads(f"x = {string(text)}") == {"x": text}


def test_deep_nesting_is_an_error_and_no_crash() -> None:
    with pytest.raises(UsageError, match="line"):
        load("x = " + "[" * 100_000, "deep")


def test_lines_of_dotted_keys_and_tables_in_arrays() -> None:
    lines = Lines('a = 1\n[[b]]\nc.d = 2\n[b."x.y"]\nz = 1\n[[b]]\n[[b.q]]\nr = 1')
    assert lines.of(("b", 0, "c", "d")) == 3
    assert lines.of(("b", 0, "x.y", "z")) == 5
    assert lines.of(("b", 1, "q", 0, "r")) == 8
    assert lines.of(("b", 1, "nothing")) == 6
    assert lines.of(("nothing",)) == 1


ENTRIES = st.lists(st.sampled_from(["a@b.c", "x.org", "*.y.org", "<>"]), max_size=3).map(tuple)
USERS = st.dictionaries(st.sampled_from(["ann@corp.example", "zoë@corp.example"]), ENTRIES, max_size=2)


@given(st.builds(AddressLists, black=ENTRIES, white=ENTRIES, user_black=USERS, user_white=USERS).map(check_lists))
def test_lists_are_read_back_as_they_were(lists: AddressLists) -> None:
    assert parse_lists(print_lists(lists)) == lists
    assert parse_list(print_list(lists.black)) == lists.black


def test_one_list_has_an_entry_a_line() -> None:
    assert parse_list("# ours\n a.org # why\n\n*@b.org\n") == ("a.org", "*@b.org")
    with pytest.raises(RuleError, match=r"bad.txt, line 3: 'a b' is not a pattern"):
        parse_list("a.org\n\na b", "bad.txt")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("black = [\n  'a.org',\n  'b c',\n]", 3, "not a pattern"),
        ("white = ['*']", 1, "every sender"),
        ("black = 'a.org'", 1, "not a list of texts"),
        ("grey = []", 1, "'grey' is unknown"),
        ("black = []\n[user.nobody]\nblack = []", 2, "not an email address"),
        ("black = []\n[user.'a@b.c']\nblack = ['x y']", 3, "not a pattern"),
        ("[user.'a@b.c']\ngrey = ['x y']", 2, "'grey' is unknown"),
        ("user = 1", 1, "write a user's lists"),
        ("[user]\n'a@b.c' = 1", 2, "write black ="),
    ],
)
def test_what_is_wrong_in_lists_is_named_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(RuleError) as error:
        parse_lists(text, "l.toml")
    assert str(error.value).startswith(f"l.toml, line {line}: "), str(error.value)
    assert says in str(error.value)


def test_the_rule_in_the_chapter_is_one() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs/rules.md").read_text()
    block = re.search(r"^    \[\[rule\]\]\n(?:    .*\n)+", text, re.MULTILINE)
    assert block is not None
    (rule,) = parse_rules(textwrap.dedent(block[0]))
    assert rule.name == "Partners"
    assert rule.every_recipient
    assert rule.action_for(Engine.ANTI_VIRUS, Status.INFECTED) is Action.DISINFECT
    assert rule.content.max_size == 20 << 20
