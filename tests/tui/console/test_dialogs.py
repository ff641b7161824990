"""The dialogs return values; each test drives one by keys and checks its answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Static

from store.mail.outcome import Delivered
from tests.tui.console.test_snapshots_dialogs import Knows
from tests.tui.console.view_harness import NOTHING, DialogApp, FakeRecipient, screen_text, until_shown
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.dialogs.delete import DeleteDialog
from tui.console.dialogs.deliver import DeliverChoice, DeliverDialog
from tui.console.dialogs.save import FolderSuggester, SaveDialog
from tui.console.widgets.controls import CheckBox, PushButton
from tui.console.widgets.recipient_list import RecipientList
from tui.terminal.preflight_words import Said

RECIPIENTS = [
    FakeRecipient("ap@corp.example"),
    FakeRecipient("ceo@corp.example", "To"),
    FakeRecipient("hidden@corp.example", "envelope", True),
]


async def answer(dialog, *keys: str, size: tuple[int, int] = (80, 24)) -> object:
    app = DialogApp(dialog)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        return app.answer


def text_of(app: DialogApp, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).visual)


@pytest.mark.parametrize("keys", [("escape",), ("3", "escape"), ("3", "tab", "tab", "enter"), ("tab", "tab", "space")])
async def test_delete_is_cancelled(keys):
    assert await answer(DeleteDialog(3), *keys) is False


@pytest.mark.parametrize(
    "keys", [("3", "enter"), ("3", "tab", "enter"), ("3", "tab", "space"), ("down", "up", "3", "enter")]
)
async def test_delete_is_confirmed_by_the_number_and_enter(keys):
    assert await answer(DeleteDialog(3), *keys) is True


@pytest.mark.parametrize("typed", ["1204", "1,204", "1.204", "1 204", "1'204", " 1_204 "])
async def test_the_number_is_taken_with_or_without_separators(typed):
    assert await answer(DeleteDialog(1204), *typed, "enter") is True


@pytest.mark.parametrize("typed", ["", "1", "12040", "delete", "-1204", "yes", "١٢٠٤"])
async def test_another_number_or_none_is_refused_and_the_window_stays(typed):
    app = DialogApp(DeleteDialog(1204))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*typed, "enter")
        await pilot.press("tab", "enter")  # the button does not delete without it either
        assert app.answer is NOTHING
        assert "type 1,204, or press Esc" in text_of(app, "#typed-wrong")
        assert app.focused.id == "typed-number"


@pytest.mark.parametrize(
    "keys", [("d", "e", "l", "e", "t", "e"), ("alt+e",), ("y",), ("o",), ("alt+o",), ("c",), ("k",)]
)
@pytest.mark.parametrize("tabs", range(3))
async def test_no_letter_presses_a_button(keys, tabs):
    for dialog in (DeleteDialog(3), ConfirmDialog("Message queue", "Cancel?", "Cancel delivery", refuse="Keep")):
        assert await answer(dialog, *["tab"] * tabs, *keys) is NOTHING


async def test_the_key_that_asked_does_not_answer():
    """`d` opens the window: held a moment too long, it must not delete."""
    assert await answer(DeleteDialog(3), "d", "d", "escape") is False


@pytest.mark.parametrize(
    ("dialog", "words"),
    [
        (DeleteDialog(1), "Delete this message copy from Backup?"),
        (DeleteDialog(1204), "Delete 1,204 message copies from Backup?"),
        (DeleteDialog(2, outside=1), "1 marked copy is outside the filter"),
        (DeleteDialog(2, live=1), "1 copy waits for delivery"),
        (DeleteDialog(3, odd=1, known=2), "Among them: 1 copy odd in its campaign, 2 copies of known senders."),
        (DeleteDialog(1, odd=1, known=1), "It is odd in its campaign and its sender is known."),
        (DeleteDialog(1, known=1), "▲ Its sender is known."),
        (DeleteDialog(2), "This cannot be undone."),
    ],
)
async def test_delete_names_the_count(dialog, words):
    app = DialogApp(dialog)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert words in " ".join(str(one.visual) for one in app.screen.query("DialogBody Static"))
        assert app.screen.query_one("#dialog").border_title == "Delete message(s)"


@pytest.mark.parametrize("keys", [("enter",), ("space",), ("tab", "tab", "enter"), ("3", "d", "enter")])
async def test_with_a_bin_delete_has_the_focus_and_no_number_is_typed(keys):
    assert await answer(DeleteDialog(3, kept="until 2 Dec"), *keys) is True


@pytest.mark.parametrize("keys", [("escape",), ("tab", "enter"), ("right", "space"), ("3", "escape", "enter")])
async def test_with_a_bin_it_is_cancelled(keys):
    assert await answer(DeleteDialog(3, kept="until 2 Dec"), *keys) is False


@pytest.mark.parametrize(
    ("dialog", "words"),
    [
        (DeleteDialog(1, kept="until 2 Dec"), "It goes to the bin, which keeps it until 2 Dec. z brings it back."),
        (
            DeleteDialog(1204, kept="until 2 Dec, or about 30 hours at this rate"),
            "Delete 1,204 message copies from Backup? They go to the bin, which keeps them until 2 Dec, or about 30 "
            "hours at this rate. z brings them back.",
        ),
        (DeleteDialog(2), "This cannot be undone."),
    ],
)
async def test_delete_says_where_the_copies_go_and_until_when(dialog, words):
    app = DialogApp(dialog)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert words in " ".join(str(one.visual) for one in app.screen.query("DialogBody Static"))
        assert ("Type" in screen_text(app)) == (not dialog.ready)


@pytest.mark.parametrize(
    ("recipients", "more", "notes"),
    [
        ([], {}, ["No recipients are known. Use additional addresses."]),
        (
            RECIPIENTS,
            {"address_count": 7, "outsiders": ["ceo@corp.example"], "local_domains": False},
            [
                "and 4 addresses more, which are not listed here",
                "1 address in the header is not in a local domain (none is set, see Settings)",
            ],
        ),
    ],
)
async def test_what_is_said_of_the_recipients_begins_below_them_on_every_line(recipients, more, notes):
    app = DialogApp(DeliverDialog(recipients, copies=1, **more))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        said = list(app.screen.query(".note.beside").results(Static))
        assert [str(each.visual) for each in said] == notes
        box = app.screen.query_one("#original")
        assert {each.content_region.x for each in said} == {box.region.x + 4}


async def test_the_other_button_can_have_a_name_of_its_own():
    def dialog() -> ConfirmDialog:
        return ConfirmDialog("Message queue", "Cancel delivery 7?", "Cancel delivery", refuse="Keep")

    assert await answer(dialog(), "left", "enter") is True
    assert await answer(dialog(), "enter") is False


async def test_nobody_is_chosen_at_first_and_enter_says_so():
    app = DialogApp(DeliverDialog(RECIPIENTS, copies=1))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert text_of(app, "#count") == "1 copy, no recipients selected"
        await pilot.press("enter")
        assert app.answer is NOTHING
        assert "at least one of the two recipient options" in text_of(app, "#dialog-error")


async def test_deliver_to_the_original_recipients():
    assert await answer(DeliverDialog(RECIPIENTS, copies=1), "space", "enter") == DeliverChoice(True, (), frozenset())


async def test_a_single_recipient_is_left_out():
    choice = await answer(DeliverDialog(RECIPIENTS, copies=1), "space", "tab", "down", "space", "enter")
    assert choice == DeliverChoice(True, (), frozenset({"ceo@corp.example"}))


def boxes(app: DialogApp) -> tuple[str, list[str]]:
    """Return the box above the addresses, and those of the addresses, as drawn."""
    listed = app.screen.query_one(RecipientList)
    drawn = [listed.render_line(y).text[:3] for y in range(len(listed.recipients))]
    return str(app.screen.query_one("#original").render())[:3], drawn


async def test_the_box_above_the_addresses_and_theirs_agree():
    app = DialogApp(DeliverDialog(RECIPIENTS[:2], copies=1))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert boxes(app) == ("[ ]", ["[ ]", "[ ]"])
        for keys, expected in (
            (["space"], ("[x]", ["[x]", "[x]"])),
            (["tab", "space"], ("[-]", ["[ ]", "[x]"])),
            (["down", "space"], ("[ ]", ["[ ]", "[ ]"])),
            (["space"], ("[-]", ["[ ]", "[x]"])),
            (["space", "shift+tab", "space"], ("[x]", ["[x]", "[x]"])),
            (["space"], ("[ ]", ["[ ]", "[ ]"])),
            (["tab", "up", "space"], ("[-]", ["[x]", "[ ]"])),
            (["shift+tab", "space"], ("[ ]", ["[ ]", "[ ]"])),
            (["space"], ("[-]", ["[x]", "[ ]"])),
        ):
            await pilot.press(*keys)
            await pilot.pause()
            assert boxes(app) == expected, keys


async def test_leaving_out_everybody_is_refused():
    app = DialogApp(DeliverDialog(RECIPIENTS[:1], copies=1))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("space", "tab", "space", "enter")
        assert app.answer is NOTHING
        assert "at least one of the two recipient options" in text_of(app, "#dialog-error")


async def test_where_every_recipient_has_a_reason_the_box_above_says_so_and_each_can_be_ticked():
    reasons = {one.address: "has it already" for one in RECIPIENTS[:2]}
    app = DialogApp(DeliverDialog(RECIPIENTS[:2], copies=1, unticked=reasons))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("space")
        await pilot.pause()
        assert boxes(app) == ("[ ]", ["[ ]", "[ ]"])
        assert "left out for the reasons shown" in text_of(app, "#dialog-error").replace("\n", " ")
        await pilot.press("tab", "space")
        await pilot.pause()
        assert boxes(app) == ("[-]", ["[x]", "[ ]"]) and not text_of(app, "#dialog-error")
        await pilot.press("enter")
        assert app.answer == DeliverChoice(True, (), frozenset({RECIPIENTS[1].address}))


async def test_typing_an_additional_address_checks_its_box():
    choice = await answer(DeliverDialog(RECIPIENTS, copies=1), "tab", "tab", "tab", *"a@b.example,c@d.example", "enter")
    assert choice == DeliverChoice(False, ("a@b.example", "c@d.example"), frozenset())


async def test_the_box_of_additional_addresses_follows_what_is_typed():
    app = DialogApp(DeliverDialog(RECIPIENTS, copies=1))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("tab", "tab", "tab", "a")
        await pilot.pause()
        assert app.screen.query_one("#additional", CheckBox).value
        await pilot.press("backspace")
        await pilot.pause()
        assert not app.screen.query_one("#additional", CheckBox).value


async def test_an_additional_address_that_is_none_is_refused_inline():
    app = DialogApp(DeliverDialog(RECIPIENTS, copies=1))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("space", "tab", "tab", "tab", *"<x", "enter")
        assert app.answer is NOTHING
        line = app.screen.query_one("#additional-error", Static)
        assert line.display
        assert "not an email address" in str(line.visual)


async def test_a_checked_additional_box_without_an_address_is_refused():
    app = DialogApp(DeliverDialog(RECIPIENTS, copies=1))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("tab", "tab", "space", "enter")
        assert app.answer is NOTHING
        assert "Enter at least one email address" in text_of(app, "#additional-error")


async def test_the_count_follows_the_choice():
    many = [FakeRecipient(f"user{number}@corp.example") for number in range(3410)]
    app = DialogApp(DeliverDialog(many, copies=1204))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("space")
        await pilot.pause()
        assert text_of(app, "#count") == "1,204 copies and 3,410 addresses chosen"
        await pilot.press("tab", "space")
        await pilot.pause()
        assert text_of(app, "#count") == "1,204 copies and 3,409 addresses chosen"


async def test_the_count_of_what_is_chosen_does_not_contradict_what_would_be_delivered():
    check = Knows(Said("4 of 111 copies go to 1 address.", whom=True))
    app = DialogApp(DeliverDialog(RECIPIENTS[:1], copies=111, check=check))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("x", "space")
        await until_shown(pilot, "4 of 111 copies go to 1 address.")
        assert text_of(app, "#count") == "111 copies and 1 address chosen"
        assert "111 copies to" not in screen_text(app)


async def test_addresses_that_are_not_listed_are_counted_too():
    app = DialogApp(DeliverDialog(RECIPIENTS, copies=2, address_count=10))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("space")
        await pilot.pause()
        assert text_of(app, "#count") == "2 copies and 10 addresses chosen"


async def test_an_infected_copy_is_refused_with_its_reason_unless_the_setting_allows():
    app = DialogApp(DeliverDialog(RECIPIENTS, copies=1, dangerous=1))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.screen.query_one("#ok", PushButton).disabled
        assert app.focused is app.screen.query_one("#cancel")
        assert "not allowed in Backup settings" in text_of(app, "DialogBody .danger").replace("\n", " ")
        await pilot.press("o")
        assert app.answer is NOTHING
    allowed = DeliverDialog(RECIPIENTS, copies=1, dangerous=1, infected_allowed=True)
    assert await answer(allowed, "space", "enter") == DeliverChoice(True, (), frozenset())


async def test_without_known_recipients_only_additional_addresses_are_possible():
    choice = await answer(DeliverDialog([], copies=1), "space", *"a@b.example", "enter")
    assert choice == DeliverChoice(False, ("a@b.example",), frozenset())


async def test_hostile_addresses_are_drawn_safe():
    hostile = [FakeRecipient("\x1b]0;owned\x07[@click=app.quit]x[/]@evil.example\u202e")]
    app = DialogApp(DeliverDialog(hostile, copies=1))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        line = app.screen.query_one(RecipientList).render_line(0).text
        assert not any(ord(character) < 32 or character == "\u202e" for character in line)
        assert "[@click=app.quit]" in line


@pytest.mark.parametrize("size", [(80, 24), (60, 12), (200, 60)])
async def test_buttons_stay_in_sight(size):
    many = [FakeRecipient(f"user{number}@corp.example") for number in range(50)]
    app = DialogApp(
        DeliverDialog(many, copies=9, dangerous=2, released={Delivered.YES: 2, Delivered.UNKNOWN: 1}, outside=4)
    )
    async with app.run_test(size=size) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        for button in app.screen.query(PushButton):
            assert button.region.height == 1
            assert app.screen.region.contains_region(button.region)


async def test_to_many_addresses_only_with_the_number_of_copies_typed():
    many = [FakeRecipient(f"user{number}@corp.example") for number in range(101)]
    app = DialogApp(DeliverDialog(many, copies=1204))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("space", "enter")
        assert app.answer is NOTHING
        assert "type 1,204, or press Esc" in text_of(app, "#typed-wrong")
        await pilot.press(*"101", "enter")
        assert app.answer is NOTHING
        await pilot.press(*["backspace"] * 3, *"1204", "enter")
        assert app.answer == DeliverChoice(True, (), frozenset())
    to_a_hundred = DeliverDialog(many, copies=1204)
    left_out = frozenset({"user0@corp.example"})
    assert await answer(to_a_hundred, "space", "tab", "space", "enter") == DeliverChoice(True, (), left_out)


async def test_save_answers_the_folder(tmp_path: Path):
    app = DialogApp(SaveDialog(1, folder=tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert app.answer == tmp_path
    assert await answer(SaveDialog(1, folder=tmp_path), "escape") is None


@pytest.mark.parametrize("what", ["missing", "file", "\0", ""])
async def test_save_refuses_what_is_no_folder(tmp_path: Path, what: str):
    (tmp_path / "file").write_bytes(b"")
    app = DialogApp(SaveDialog(1, folder=tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.screen.query_one("#folder").value = str(tmp_path / what) if what else ""
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        assert app.answer is NOTHING
        assert text_of(app, "#dialog-error")


async def test_save_warns_of_infected_copies(tmp_path: Path):
    app = DialogApp(SaveDialog(37, folder=tmp_path, dangerous=2))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        text = text_of(app, "DialogBody .danger").replace("\n", " ")
        assert "2 of them are infected or probably infected" in text


async def test_a_folder_is_completed(tmp_path: Path):
    (tmp_path / "quarantine").mkdir()
    (tmp_path / "query.txt").write_bytes(b"")
    suggester = FolderSuggester()
    assert await suggester.get_suggestion(f"{tmp_path}/qu") == f"{tmp_path}/quarantine"
    assert await suggester.get_suggestion(f"{tmp_path}/zz") is None
    assert await suggester.get_suggestion("/no/such/folder/x") is None
