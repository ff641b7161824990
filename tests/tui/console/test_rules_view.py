"""The Rules section on a real store: its list, and all its actions by keyboard."""

from __future__ import annotations

import msgspec
import pytest

from store.authority.audit import events
from store.judging.rules.rules import DEFAULT_RULE, IfDown, Rule, change_rules, check_rule, read_rules
from store.terms.verdicts import Action, Engine, Status
from tests.tui.console.driven import lines, make_console, poll
from tests.tui.console.driven import settle as console_settle
from tests.tui.console.rule_data import fill
from tests.tui.console.view_harness import NOTHING, DialogApp, ViewApp, screen_text, settle
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.dialogs.rule import RuleDialog
from tui.console.screens.rules import RulesView
from tui.console.text.rule_lines import detail_lines, rule_line
from tui.console.widgets.controls import Field
from tui.console.widgets.cycle import Cycle


@pytest.fixture
def app(vault) -> ViewApp:
    fill(vault)
    return ViewApp(vault, RulesView)


def order(vault) -> list[int]:
    return [rule.id for rule in read_rules(vault)]


async def press(pilot, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def write(pilot, name: str, text: str) -> None:
    pilot.app.screen.query_one(f"#{name}", Field).value = text
    await pilot.pause()


def test_the_actions_are_a_grid_and_none_is_cut() -> None:
    rule = Rule(id=1, name="a")
    for width in (36, 54, 60, 84, 130):
        lines = ["".join(span.text for span in line) for line in detail_lines(rule, width)]
        assert max(map(len, lines)) <= width
        assert "Delete attachment" in " ".join(" ".join(lines).split())
        if width >= 60:
            at = {line.index("Delete message") for line in lines if "  Delete message" in line}
            assert len(at) == 1


async def test_it_lists_the_rules_in_order_and_shows_one_in_full(app):
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        text = screen_text(app).splitlines()
        assert text[0].startswith("4 rules · 1 disabled")
        assert text[2].split() == ["Rule", "Name", "For", "Does"]
        at = text[2].index("For")
        assert [line[at:].split("  ")[0] for line in text[3:7]] == [
            "to finance@corp.example +2", "from partner.example; client 19…", "from news@corp.example", "every message",
        ]  # fmt: skip
        assert text[3].split()[:2] == ["2", "Finance"]
        assert text[5].split()[:2] == ["–", "4"]
        shown = " ".join(screen_text(app).split())
        assert "Rule 2 Finance [/foo]" in shown
        assert "(every recipient)" in shown
        assert "Infected: Disinfect" in shown
        assert "Not scanned Temporary fail" in shown
        await press(pilot, "j")
        shown = " ".join(screen_text(app).split())
        assert "Networks 192.0.2.0/24" in shown
        assert "Scanners clamd" in shown


@pytest.mark.parametrize("width", [30, 57, 80, 200])
def test_lines_fit_any_width_and_hide_nothing_hostile(width):
    rule = check_rule(Rule(id=999_999_999, name="[red]ü" * 10, senders=("xn--a@例え.jp",), networks=("::/0",)))
    line = rule_line(rule, width)
    assert sum(len(span.text) for span in line) <= max(width, 43) + 20
    assert detail_lines(rule, width)


async def test_a_store_without_rules_has_default(vault):
    app = ViewApp(vault, RulesView)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert screen_text(app).startswith("1 rule · the first that matches decides")
        for key in ("d", "e", "K", "J"):
            await press(pilot, key)
        assert len(app.notices) == 4
        assert all("Default" in notice for notice in app.notices)
        assert read_rules(vault) == (DEFAULT_RULE,)


async def test_rules_move_and_the_cursor_goes_with_them(app, vault):
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "K")
        assert app.notices == ["This rule is the first already."]
        await press(pilot, "J")
        assert "Move rule 2 (Finance [/foo]) from place 1 to place 2, after rule 3" in app.screen.question
        await press(pilot, "J", "enter")
        assert order(vault) == [2, 3, 4, 1]
        await press(pilot, "J", "left", "enter")
        assert order(vault) == [3, 2, 4, 1]
        assert app.notices[-1] == "Rule 2 is at place 2 now"
        await press(pilot, "shift+down", "left", "enter")
        assert order(vault) == [3, 4, 2, 1]
        await press(pilot, "J")
        assert app.notices[-1] == "This rule is the last before Default already."
        await press(pilot, "shift+up", "left", "enter")
        assert order(vault) == [3, 2, 4, 1]
        assert app.view.current.id == 2


async def test_a_rule_moves_to_the_place_that_was_said_or_not_at_all(app, vault):
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "J")
        change_rules(vault, lambda rules: [rules[1], rules[0], *rules[2:]], "bob")
        await press(pilot, "left", "enter")
        assert order(vault) == [3, 2, 4, 1]
        assert "changed by someone else" in app.notices[-1]


async def test_a_key_disables_and_enables(app, vault):
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "e")
        assert "Disable rule 2 (Finance [/foo])? It is enabled now." in app.screen.question
        await press(pilot, "e", "enter")
        assert read_rules(vault)[0].enabled
        await press(pilot, "e", "left", "enter")
        assert not read_rules(vault)[0].enabled
        assert "2 disabled" in screen_text(app)
        await press(pilot, "e", "left", "enter")
        assert read_rules(vault)[0].enabled
        assert app.notices == ["Rule 2 has been disabled", "Rule 2 has been enabled"]
        assert events(vault, 1)[0].operator == "root"


async def test_removing_asks_first(app, vault):
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "d")
        assert isinstance(app.screen, ConfirmDialog)
        assert "Remove rule 2 (Finance [/foo])?" in screen_text(app)
        await press(pilot, "enter")
        assert order(vault) == [2, 3, 4, 1]
        await press(pilot, "delete", "left", "enter")
        assert order(vault) == [3, 4, 1]
        assert app.notices == ["Rule 2 has been removed"]


async def test_a_rule_is_added_by_keyboard_alone(app, vault):
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        assert isinstance(app.screen, RuleDialog)
        await press(pilot, *"News", "tab", "tab", *"news.example", "down", *"a.example", "enter")
        added = read_rules(vault)[-2]
        assert (added.id, added.name, added.senders, added.recipients) == (5, "News", ("news.example",), ("a.example",))
        assert app.notices == ["Rule 5 has been added"]
        assert app.view.current.id == 5


async def test_a_rule_is_edited(app, vault):
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "j", "enter")
        await write(pilot, "name", "Our partners")
        spam = app.screen.query_one("#anti-spam-spam", Cycle).focus()
        while not spam.options[spam.index].startswith("Reject"):
            await press(pilot, "right")
        app.screen.query_one("#down-anti-virus", Cycle).focus()
        await press(pilot, "right", "enter")
        rule = read_rules(vault)[1]
        assert (rule.id, rule.name) == (3, "Our partners")
        assert rule.action_for(Engine.ANTI_SPAM, Status.SPAM) is Action.REJECT
        assert rule.down_for(Engine.ANTI_VIRUS) is IfDown.TEMPORARY_FAIL
        assert rule.scanners == ("clamd",)
        assert app.notices == ["Rule 3 has been changed"]


async def test_what_is_left_as_it_is_is_not_written(app, vault):
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        before = len(events(vault))
        await press(pilot, "enter", "enter")
        assert len(events(vault)) == before
        assert app.notices == []


async def test_a_rule_that_somebody_else_changed_is_not_written_over(app, vault):
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "enter")
        change_rules(vault, lambda rules: [msgspec.structs.replace(rules[0], name="Theirs"), *rules[1:]])
        await write(pilot, "name", "Mine")
        await press(pilot, "enter")
        assert read_rules(vault)[0].name == "Theirs"
        assert "changed by someone else" in app.notices[-1]


async def test_it_follows_the_store(app, vault):
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "j")
        change_rules(vault, lambda rules: [Rule(name="First"), *rules])
        app.view.refresh_data()
        await settle(pilot)
        assert screen_text(app).splitlines()[3].split()[:2] == ["5", "First"]
        assert app.view.current.id == 3


async def test_the_rule_in_full_is_scrolled_from_the_list(app):
    async with app.run_test(size=(60, 20)) as pilot:
        await settle(pilot)
        assert "20 MB" not in screen_text(app).splitlines()[-1]
        await press(pilot, *["right_square_bracket"] * 8)
        assert "20 MB" in screen_text(app)
        await press(pilot, *["left_square_bracket"] * 8)
        assert "Rule 2" in screen_text(app)


@pytest.mark.parametrize(
    ("field", "text", "says"),
    [
        ("name", " ", "needs a name"),
        ("name", "partners", "Another rule already has the name"),
        ("senders", "a b@c", "not a pattern of addresses"),
        ("recipients", "ok.example, a@b@c", "not a pattern of addresses"),
        ("networks", "10.0.0.0/33", "not a network"),
        ("max_size", "huge", "not a size"),
        ("scanners", "cl!amd", "not a name of a scanner"),
    ],
)
async def test_what_is_wrong_is_said_at_the_field(field, text, says):
    app = DialogApp(RuleDialog(check_rule(Rule(id=2, name="x")), names=["Partners"]))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await write(pilot, field, text)
        await pilot.press("enter")
        await pilot.pause()
        assert app.answer is NOTHING
        assert says in " ".join(screen_text(app).replace("│", " ").split())
        assert app.focused.id == field
        await write(pilot, field, "better")
        assert says not in screen_text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert app.answer is None


async def test_the_window_answers_what_it_was_given_where_nothing_is_touched(vault):
    fill(vault)
    for rule in read_rules(vault):
        odd = msgspec.structs.replace(
            rule, content=msgspec.structs.replace(rule.content, banned_names=("a,b", "*.x"), max_size=12_345_678)
        )
        app = DialogApp(RuleDialog(odd))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            await pilot.press("enter")
            await pilot.pause()
            assert app.answer == odd


async def test_default_has_no_conditions_to_edit():
    app = DialogApp(RuleDialog(check_rule(DEFAULT_RULE)))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "no other rule matches" in screen_text(app)
        assert not app.screen.query("#senders, #networks, #enabled")
        await write(pilot, "max_size", "10")
        await write(pilot, "scanners", "none")
        await pilot.press("enter")
        await pilot.pause()
        assert app.answer.content.max_size == 10 << 20
        assert app.answer.scanners == ()


async def test_in_the_console_the_keys_say_what_is_possible(vault):
    fill(vault)
    console = make_console(vault)
    async with console.run_test(size=(80, 24)) as pilot:
        await console_settle(pilot)
        await pilot.press("4")
        await console_settle(pilot)
        assert isinstance(console.main.places.page, RulesView)
        assert lines(console)[-1].endswith(" K Up  J Down  Esc To messages list  ? Help  ")
        assert console.main.cannot("rule-up") == "This rule is the first already."
        assert console.main.footer._off == {"rule-up"}
        await pilot.press("G")
        await console_settle(pilot)
        assert console.main.footer._off == {"delete-rule", "enable-rule", "rule-up", "rule-down"}
        change_rules(vault, lambda rules: [Rule(name="First"), *rules])
        await poll(pilot)
        assert "First" in lines(console)[4]
        await pilot.press("escape")
        await console_settle(pilot)
        assert console.main.places.place == "backup"
