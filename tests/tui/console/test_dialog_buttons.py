"""Each button of each window closes it once, pressed by Enter, Space or the mouse; and the keys scroll its body."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest
from textual.screen import ModalScreen

import tui.console
from store.authority.audit import Event
from store.delivery.listing import Delivery
from store.delivery.retrying import RetryPlan, RetryRecipient
from store.mail.outcome import State
from store.undoing.plans import PastAct, Plan, Told
from tests.tui.console.fakes import NOW
from tests.tui.console.test_dialogs_fit import WINDOWS
from tests.tui.console.view_harness import DialogApp, screen_text
from tui.console.dialogs.base import Dialog, DialogBody
from tui.console.dialogs.picker import PickDialog
from tui.console.dialogs.report import ReportDialog
from tui.console.dialogs.send_again import SendAgainDialog
from tui.console.dialogs.undo import UndoDialog, UndoneDialog
from tui.console.driver import EndsWithTerminal
from tui.console.lock.lock_app import LockDialog
from tui.console.widgets.controls import PushButton

TOLD = Told(("the 64 copies are brought back",), tuple(f"copy {number} is gone for good" for number in range(60)))
ACT = PastAct(Event(1, NOW, "ada", "delete", (1, 2), ""), ())
SEND_AGAIN = (
    Delivery(7, 1, State.FAILED, NOW, 1, 0, [], live=False),
    RetryPlan(
        7, 1, False, (RetryRecipient("a@corp.example", State.FAILED, NOW, "", sends=True, left_out="", twice=False),)
    ),
)
#: How each window of the console is made, and the keys that make its OK acceptable.
ALL: dict[str, tuple[Callable[[], ModalScreen[Any]], list[str]]] = {
    **WINDOWS,
    "undo": (lambda: UndoDialog(Plan(ACT, False, "Delete 64 copies", TOLD), UTC), []),
    "undone": (lambda: UndoneDialog(TOLD, again=False), []),
    "send_again": (lambda: SendAgainDialog(*SEND_AGAIN, "Invoice", UTC), []),
    "locked": (lambda: LockDialog("/var/lib/mailhold/backup.db", "It was locked."), []),
    "delete_many_typed": (WINDOWS["delete_many"][0], [*"1204"]),
    "delete_for_good_typed": (WINDOWS["delete_campaigns_for_good"][0], [*"39843"]),
    "add_some_entries": (WINDOWS["add_entries"][0], [*"a@b.example"]),
    "save_a_filter": (WINDOWS["save_filter"][0], [*"mine"]),
    "save_here": (WINDOWS["save_infected"][0], []),
    "new_rule_named": (WINDOWS["rule_new"][0], [*"new"]),
}
#: Buttons that leave their window open.
STAYS = {
    "ask": {"deliver_ready", "deliver_against", "deliver_lookalike"},
    "leave": {"locked"},
    "ok": {"mark", "unmark", "settings_errors"},  # until the catalogue answers, or the sizes are right
}


class CountingApp(DialogApp):
    """Counts the answers of its window, and the attempts to close it."""

    def __init__(self, dialog: ModalScreen[Any], monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(dialog)
        self.answers: list[object] = []
        self.attempts = 0
        dismiss = Dialog.dismiss

        def counted(dialog: Dialog[Any], result: Any = None) -> Any:
            self.attempts += 1
            return dismiss(dialog, result)

        monkeypatch.setattr(Dialog, "dismiss", counted)

    def _answered(self, answer: object) -> None:
        self.answers.append(answer)


def enter(app: DialogApp, button: str) -> list[str]:
    app.screen.query_one(f"#{button}").focus()
    return ["enter"]


def space(app: DialogApp, button: str) -> list[str]:
    app.screen.query_one(f"#{button}").focus()
    return ["space"]


def click(app: DialogApp, button: str) -> list[str]:
    return []


@pytest.mark.parametrize("how", [enter, space, click])
@pytest.mark.parametrize("name", ALL)
async def test_each_button_closes_its_window_once(name: str, how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make, keys = ALL[name]
    buttons: list[str] | None = None
    while buttons is None or buttons:
        app = CountingApp(make(), monkeypatch)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            if buttons is None:
                buttons = [str(each.id) for each in app.screen.query(PushButton) if not each.disabled]
                assert buttons, "a window without a button"
            await pilot.press(*keys)
            await pilot.pause()
            button = buttons.pop()
            pressed = how(app, button)
            await (pilot.press(*pressed) if pressed else pilot.click(f"#{button}"))
            await pilot.pause()
            if app.screen is app.dialog:
                assert app.attempts == 0 and not app.answers
                assert (button == "ok" and complains(app)) or name in STAYS.get(button, ()), button
            else:
                assert app.attempts == len(app.answers) == 1, button
                assert len(app.screen_stack) == 1
        monkeypatch.undo()


def complains(app: DialogApp) -> bool:
    """Return True if the window says why it stays open, or asks for the number that was not typed."""
    lines = [app.screen.query_one("#dialog-error"), *app.screen.query("#additional-error, TypedCount")]
    return any(each.display for each in lines)


@pytest.mark.parametrize("name", ["deliver_ready", "delete_many_typed", "delete_into_bin", "report", "help"])
async def test_two_presses_at_once_are_one_answer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, keys = ALL[name]
    app = CountingApp(make(), monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        for _ in range(2):
            app.screen.query_one("#ok", PushButton).press()
        await pilot.pause()
        assert len(app.answers) == 1 and len(app.screen_stack) == 1


def test_every_window_is_among_them() -> None:
    made = {type(make()) for make, _ in ALL.values()}
    for module in walk_packages(tui.console.__path__, "tui.console."):
        for one in vars(import_module(module.name)).values():
            if inspect.isclass(one) and issubclass(one, Dialog) and one not in (Dialog, PickDialog):
                assert one in made, one


def test_no_handler_calls_that_of_its_base() -> None:
    """Textual calls the handlers of all classes itself, so that a call to super is a second one."""
    for path in Path(tui.console.__file__).parent.rglob("*.py"):
        text = path.read_text().replace("super().on_event(", "")
        assert "super().on_" not in text and "super()._on_" not in text, path


#: Windows whose only controls are buttons, with more lines than fit.
LONG: dict[str, Callable[[], ModalScreen[Any]]] = {
    **{name: ALL[name][0] for name in ("help", "undo", "undone")},
    "report": lambda: ReportDialog("Deliver", 4, "placed", [(number, f"reason {number}") for number in range(90)]),
}


@pytest.mark.parametrize("size", [(80, 24), (160, 40)], ids=["80x24", "160x40"])
@pytest.mark.parametrize("name", LONG)
async def test_the_keys_scroll_a_window_that_has_only_buttons(name: str, size: tuple[int, int]) -> None:
    app = DialogApp(LONG[name]())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        body = app.screen.query_one(DialogBody)
        assert body.max_scroll_y > 0
        assert "PgDn scroll" in screen_text(app)
        tops = []
        for key in ("x", "pagedown", "pageup", "down", "down", "up", "end", "home"):
            await pilot.press(key)
            await pilot.pause()
            assert app.screen is app.dialog
            tops.append(round(body.scroll_y))
        page = min(body.size.height, body.max_scroll_y)
        assert tops == [0, page, 0, 1, 2, 1, body.max_scroll_y, 0]


async def test_the_keys_scroll_a_window_with_controls_too_and_the_arrows_go_to_them() -> None:
    app = DialogApp(ALL["rule_default"][0]())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        body = app.screen.query_one(DialogBody)
        app.screen.query_one("#ok").focus()
        await pilot.pause()
        await pilot.press("home")
        assert body.scroll_y == 0
        await pilot.press("end")
        assert body.scroll_y == body.max_scroll_y > 0
        await pilot.press("up")
        assert body in app.focused.ancestors


async def test_a_field_keeps_its_keys() -> None:
    app = DialogApp(ALL["settings_warnings"][0]())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        body, field = app.screen.query_one(DialogBody), app.screen.query_one("#max_size")
        field.focus()
        await pilot.press("home")
        assert field.cursor_position == 0
        before = body.scroll_y
        await pilot.press("end")
        assert (field.cursor_position, body.scroll_y) == (len(field.value), before)
        await pilot.press("pagedown")
        assert body.scroll_y > before


def test_the_words_of_a_crash_claim_nothing_about_what_was_done() -> None:
    words = EndsWithTerminal.last_words(EndsWithTerminal(), "ScreenStackError") or ""
    assert "ScreenStackError" in words and "may have been done" in words and "Events" in words
    assert "not changed" not in words
