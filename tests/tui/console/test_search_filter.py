"""The Search filter window: every field of the spec, synchronised with the filter line, validated, nothing lost."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from textual.widgets import Static

from store.filters.line import MessageFilter, Period, Term, parse
from store.judging.rules.rules import Rule, write_rules
from store.mail.outcome import Delivered
from store.terms.verdicts import Engine
from store.vault.vault import Vault
from tests.amounts import amount
from tests.tui.console.driven import make_console, settle
from tests.tui.console.fakes import NOW, FakeCatalogue
from tests.tui.console.view_harness import NOTHING, DialogApp, screen_text
from tui.console.dialogs.search_filter import DropDown, SearchFilterDialog
from tui.console.widgets.controls import CheckBox, Field

RULES = [(1, "Default"), (3, "Board [b]"), (7, "")]


def window(text: str = "") -> DialogApp:
    return DialogApp(SearchFilterDialog(parse(text), rules=RULES, tz=UTC, now=NOW))


async def answer(app: DialogApp, fields: dict[str, Any] | None = None, *keys: str) -> object:
    """Return the window's answer after setting these fields and pressing these keys (OK if there are none)."""
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        for name, value in (fields or {}).items():
            app.screen.query_one(f"#{name}").value = value
            await pilot.pause()
        if keys:
            await pilot.press(*keys)
        else:
            app.screen.query_one("#ok").press()
        await pilot.pause()
    return app.answer


def complaint(app: DialogApp) -> str:
    return str(app.screen.query_one("#dialog-error", Static).render())


async def test_every_field_of_the_spec() -> None:
    found = await answer(
        window(),
        {
            "from_": "exa",
            "to": "corp.example",
            "subject": "cheap pills",
            "message_id": "4bQ",
            "rule": (3,),
            "period": Period.CUSTOM,
            "since": "2026-11-01 08:00",
            "until": "2026-11-20 12:00",
            "anti-spam": True,
            "black-list": True,
            "size-max": "512",
            "size-min": "2",
        },
    )
    assert found == parse(
        'from:exa to:corp.example subject:"cheap pills" id:4bQ rule:3 since:2026-11-01T08:00 until:2026-11-20T12:00 '
        "scan:anti-spam,black-list size:<=512 size:>=2"
    )


async def test_the_lists_hold_what_the_spec_names() -> None:
    app = window()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        periods = [str(label) for label, _ in app.screen.query_one("#period", DropDown)._options]
        assert periods == ["Any time", "Hour", "Day", "Week", "2 weeks", "Month", "3 months", "Year", "Custom"]
        assert [str(label) for label, _ in app.screen.query_one("#rule", DropDown)._options] == [
            "Any",
            "1  Default",
            "3  Board [b]",
            "7",
        ]
        boxes = [str(box.label) for box in app.screen.query(CheckBox)]
        assert boxes == [
            "Anti-Spam",
            "Anti-Virus",
            "Content filtering",
            "Anti-Phishing",
            "Custom black list of addresses",
        ]


async def test_an_empty_field_says_what_it_finds() -> None:
    """The spec's "message ID on the mail server" is in the MTA-Message-ID, which nobody looks for in Message-ID."""
    app = window()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        said = {name: app.screen.query_one(f"#{name}", Field).placeholder for name in ("from_", "to", "subject")}
        assert said == {
            "from_": "any; part of a name or address",
            "to": "any; part of a name or address",
            "subject": "any; part of the subject",
        }
        assert "any; part, also of MTA-Message-ID" in screen_text(app)


@pytest.mark.parametrize("period", [period for period in Period if period is not Period.CUSTOM])
async def test_a_period_is_taken(period: Period) -> None:
    assert await answer(window(), {"period": period}) == MessageFilter(period=period)


async def test_the_limits_are_for_the_custom_period_only() -> None:
    app = window()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.screen.query_one("#since", Field).disabled
        app.screen.query_one("#period", DropDown).value = Period.CUSTOM
        await pilot.pause()
        assert not app.screen.query_one("#until", Field).disabled


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"period": Period.CUSTOM}, "needs a date"),
        ({"period": Period.CUSTOM, "since": "yesterday"}, "starting from"),
        ({"period": Period.CUSTOM, "until": "2026-02-30 10:00"}, "ending with"),
        ({"period": Period.CUSTOM, "since": "2026-11-20", "until": "2026-11-01"}, "ends before it starts"),
        ({"period": Period.CUSTOM, "since": '2026-11-01" from:x'}, "starting from"),
        ({"size-max": "-1"}, "whole number"),
        ({"size-min": "12.5"}, "whole number"),
        ({"size-max": "9" * 5000}, "whole number"),
        ({"size-min": "٣"}, "whole number"),
        ({"size-max": "1", "size-min": "2"}, "both that large"),
    ],
)
async def test_what_cannot_be_is_said_and_the_window_stays(fields: dict[str, Any], says: str) -> None:
    app = window()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        for name, value in fields.items():
            app.screen.query_one(f"#{name}").value = value
            await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert app.answer is NOTHING
        assert says in complaint(app)


async def test_a_day_is_the_whole_day() -> None:
    found = await answer(window(), {"period": Period.CUSTOM, "since": "2026-11-01", "until": "2026-11-20"})
    assert found == parse("since:2026-11-01 until:2026-11-20")


async def test_the_time_zone_is_shown() -> None:
    app = window()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert str(app.screen.query_one(".zone", Static).render()) == "UTC"


async def test_what_has_no_field_is_named_and_kept() -> None:
    text = "from:exa -from:news invoice status:spam -scan:content delivered:no"
    app = window(text)
    async with app.run_test(size=(80, 30)) as pilot:
        await pilot.pause()
        kept = str(app.screen.query_one("#kept", Static).render())
        for word in ("-from:news", "invoice", "status:spam", "-scan:content", "delivered:no"):
            assert word in kept
        assert "from:exa" not in kept.replace("-from:news", "")
        app.screen.query_one("#from_", Field).value = "acme"
        await pilot.press("enter")
        await pilot.pause()
    assert app.answer == parse("from:acme -from:news invoice status:spam -scan:content delivered:no")


@pytest.mark.parametrize(
    ("text", "kept", "after"),
    [
        ("a or subject:b", "a or subject:b", "from:acme (a or subject:b)"),
        ("from:exa (subject:b)", "subject:b", "from:acme (subject:b)"),
        ("from:exa -(size:<=3) score:>=7", "score:>=7 -(size:<=3)", "from:acme score:>=7 -(size:<=3)"),
    ],
)
async def test_groups_are_named_and_kept(text: str, kept: str, after: str) -> None:
    app = window(text)
    async with app.run_test(size=(80, 30)) as pilot:
        await pilot.pause()
        assert str(app.screen.query_one("#kept", Static).render()) == f"and also  {kept}"
        assert app.screen.query_one("#subject", Field).value == ""
        app.screen.query_one("#from_", Field).value = "acme"
        await pilot.press("enter")
        await pilot.pause()
    assert app.answer == parse(after)


async def test_clear_answers_the_empty_filter() -> None:
    assert await answer(window("from:exa invoice"), {}, "shift+tab", "shift+tab", "enter") == MessageFilter()


async def test_escape_changes_nothing() -> None:
    assert await answer(window("from:exa"), {"to": "x"}, "escape") is None


async def test_enter_in_a_field_accepts() -> None:
    assert await answer(window(), {}, *"exa", "enter") == parse("from:exa")


async def test_text_with_spaces_quotes_and_colons_is_taken_as_it_is() -> None:
    found = await answer(window(), {"subject": '  Re: "50% off" -today  '})
    assert found == MessageFilter(subject=(Term('Re: "50% off" -today'),))


TERMS = st.lists(st.builds(Term, st.sampled_from(["exa", "a b", 'q"c', "x:y"]), st.booleans()), max_size=3).map(tuple)
FILTERS = st.builds(
    MessageFilter,
    from_=TERMS,
    to=TERMS,
    subject=TERMS,
    message_id=TERMS,
    words=TERMS,
    rule_ids=st.sampled_from([(), (3,), (1, 7)]),
    period=st.sampled_from([None, *Period]),
    since=st.sampled_from([None, NOW - NOW % 60_000 - 86_400_000, NOW]),
    until=st.sampled_from([None, NOW + 59_999]),
    engines=st.frozensets(st.sampled_from(list(Engine))),
    not_engines=st.frozensets(st.sampled_from(list(Engine)), max_size=1),
    size_min=st.sampled_from([None, 0, 12]),
    size_max=st.sampled_from([None, 12, 99999]),
    delivered=st.frozensets(st.sampled_from(Delivered)),
    not_delivered=st.frozensets(st.sampled_from(Delivered)),
    odd=st.sampled_from([None, True]),
    links=TERMS,
    score_min=st.sampled_from([None, 7.5]),
    groups=st.sampled_from(
        [(), parse("(a or subject:b) -(size:<=3)").groups, parse("x (subject:b since:2026-01-01)").groups]
    ),
)


@settings(max_examples=amount(8, 20), deadline=None, phases=[Phase.generate])
@given(FILTERS)
async def test_opening_and_accepting_changes_nothing(flt: MessageFilter) -> None:
    app = DialogApp(SearchFilterDialog(flt, rules=RULES, tz=UTC, now=NOW))
    async with app.run_test(size=(80, 30)) as pilot:
        await pilot.pause()
        app.screen.query_one("#ok").press()
        await pilot.pause()
    assert app.answer == flt


async def test_window_and_filter_line_are_in_step(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"subject:invoice", "enter")
        await settle(pilot)
        await pilot.press("f")
        await settle(pilot)
        assert app.screen.query_one("#subject", Field).value == "invoice"
        app.screen.query_one("#from_", Field).value = "billing"
        await pilot.press("enter")
        await settle(pilot)
        assert app.main.backup.line.text == "from:billing subject:invoice"
        assert app.main.backup.filter == parse("from:billing subject:invoice")


async def test_the_rules_in_force_can_be_chosen_while_the_catalogue_loads(vault: Vault) -> None:
    write_rules(vault, [Rule(name="Partners")])
    app = make_console(vault, FakeCatalogue([]))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        app.main.context.catalogue.rule_ids = lambda: [(0, ""), (2, "Former name"), (9, "Removed")]
        await pilot.press("f")
        await settle(pilot)
        options = [str(label) for label, _ in app.screen.query_one("#rule", DropDown)._options]
        assert options == ["Any", "0  no rule", "1  Default", "2  Partners", "9  Removed"]
        await pilot.press("escape")
        vault.db.execute_sql("UPDATE configuration SET sealed = X'00' WHERE name = 'rules'")
        await pilot.press("f")
        await settle(pilot)
        options = [str(label) for label, _ in app.screen.query_one("#rule", DropDown)._options]
        assert options == ["Any", "0  no rule", "2  Former name", "9  Removed"]


async def test_rule_and_period_are_chosen_by_the_keyboard_alone() -> None:
    to_rule = ["tab"] * 4
    pick_rule = ["enter", "down", "down", "enter"]
    pick_period = ["tab", "enter", "down", "enter"]
    found = await answer(window(), None, *to_rule, *pick_rule, *pick_period, "tab", "enter")
    assert found == MessageFilter(rule_ids=(3,), period=Period.HOUR)


async def test_a_letter_in_a_list_presses_no_button() -> None:
    app = window("from:kept")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.dialog.query_one("#period").focus()
        await pilot.press("c", "l", "o")
        assert app.answer is NOTHING
