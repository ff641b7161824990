"""No text is cut off in any window, in a terminal of 80x24 and in one of 60x20."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from types import SimpleNamespace
from typing import Any

import pytest
from textual.geometry import Region
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from store.authority.settings import Settings, Unavailable
from store.catalogue.sort import Sort, SortKey
from store.filters.line import parse
from store.judging.rules.rules import DEFAULT_ID, Rule
from store.terms.records import Copy, row_of
from tests.tui.console.fakes import NOW, sample
from tests.tui.console.test_snapshots_dialogs import DIALOGS
from tests.tui.console.view_harness import DialogApp, screen_text, until_shown
from tui.console.dialogs.backup_settings import BackupSettingsDialog
from tui.console.dialogs.base import DialogBody
from tui.console.dialogs.campaign import CampaignTextDialog
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.dialogs.copy import CopyDialog
from tui.console.dialogs.find_text import FindEntryDialog, FindTextDialog
from tui.console.dialogs.help import HelpDialog
from tui.console.dialogs.list_entries import AddEntriesDialog
from tui.console.dialogs.mark import MarkDialog, UnmarkDialog
from tui.console.dialogs.picker import PickList
from tui.console.dialogs.report import ReportDialog
from tui.console.dialogs.rule import RuleDialog
from tui.console.dialogs.save_filter import SaveFilterDialog
from tui.console.dialogs.search_filter import SearchFilterDialog
from tui.console.dialogs.sort import SortDialog
from tui.console.keys.keymap import Keymap, Scope
from tui.console.widgets.controls import CheckBox, Choice
from tui.console.widgets.cycle import Cycle

RULES = [(number, f"Rule number {number}") for number in range(1, 9)]
EVERYTHING = "period:custom since:2026-11-01 until:2026-11-20T12:00 -from:example.org status:spam invoice"
FAILURES = [(number, "its delivery is not finished: cancel that delivery first") for number in range(60)]


def marking(kind: type[MarkDialog] = MarkDialog) -> MarkDialog:
    """Make the window over a catalogue that never answers."""
    shell = SimpleNamespace(background=lambda *_, **__: None)
    return kind(SimpleNamespace(tz=UTC, catalogue=None, shell=shell, parse=parse))


#: How each window is made. Those in the snapshot tests are taken from there.
WINDOWS: dict[str, tuple[Callable[[], ModalScreen[Any]], list[str]]] = {
    **DIALOGS,
    "settings_reject": (
        lambda: BackupSettingsDialog(Settings(if_unavailable=Unavailable.TEMPORARY_FAIL, allow_infected=True)),
        [],
    ),
    "confirm_twice": (
        lambda: ConfirmDialog(
            "Message queue",
            "Send delivery 12345 again to 3,410 addresses?",
            "Retry",
            warning="The connection was lost after the message had been sent: it may arrive twice.",
        ),
        [],
    ),
    "copy": (lambda: CopyDialog(row_of(Copy(1, NOW, 4096, sample(1)))), []),
    "help": (lambda: HelpDialog(Keymap(), lambda action: "There is no message copy.", Scope.LIST), []),
    "add_entries": (AddEntriesDialog, []),
    "save_filter": (lambda: SaveFilterDialog(EVERYTHING, ()), []),
    "campaign_note": (
        lambda: CampaignTextDialog(
            "Note on the campaign",
            'Campaign 1204 ("Your account was limited, confirm it within 24 hours, or …")',
            "until noon",
            limit=500,
            placeholder="empty removes the note",
            warning="j.fischer-of-the-second-shift works on it.",
        ),
        [],
    ),
    "add_white_entries_of_a_user": (lambda: AddEntriesDialog("white", "ceo@corp.example"), []),
    "find": (FindEntryDialog, []),
    "find_text": (lambda: FindTextDialog("Attachments"), []),
    "mark": (marking, []),
    "unmark": (lambda: marking(UnmarkDialog), []),
    "report": (lambda: ReportDialog("Delete message(s)", 1204, "deleted", FAILURES), []),
    "rule_new": (lambda: RuleDialog(Rule()), []),
    "rule_default": (lambda: RuleDialog(Rule(id=DEFAULT_ID, name="Default")), []),
    "search": (lambda: SearchFilterDialog(parse(""), rules=RULES, tz=UTC, now=NOW), []),
    "search_everything": (lambda: SearchFilterDialog(parse(EVERYTHING, tz=UTC), rules=RULES, tz=UTC, now=NOW), []),
    "sort": (lambda: SortDialog(Sort(SortKey.PLACED, True)), []),
}


def cut(app: DialogApp) -> list[str]:
    """Return the texts cut off in the open window, one for each control."""
    frame = app.screen.query_one("#dialog").content_region
    title = str(app.screen.query_one("#dialog").border_title)
    found = [title] if len(title) > frame.width - 2 else []
    for widget in app.screen.query("*"):
        if widget.children or not shown(widget):
            continue
        room = next(
            (each for each in widget.ancestors if isinstance(each, DialogBody)), app.screen.query_one("#dialog")
        )
        there = room.scrollable_content_region
        beside = widget.region.x < there.x or widget.region.right > there.right
        found += [f"{widget!r}: {text!r}" for text in texts_of(widget) if beside or squeezed(text) not in drawn(widget)]
    return found


def shown(widget: Widget) -> bool:
    return all(each.display for each in widget.ancestors_with_self if isinstance(each, Widget))


def texts_of(widget: Widget) -> list[str]:
    """Return all texts of a control; none for one that scrolls its content."""
    if isinstance(widget, Input):
        return [widget.placeholder] if not widget.value else []
    if isinstance(widget, PickList):
        return [label for _, label, _ in widget.lines]
    if isinstance(widget, Static | CheckBox | Choice | Cycle | Button):
        return [str(widget.render())]
    return []


def drawn(widget: Widget) -> str:
    """Return what a control draws, without blanks, on all its lines, including those scrolled out of the window."""
    return squeezed("".join(strip.text for strip in widget.render_lines(Region(0, 0, *widget.outer_size))))


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("size", [(60, 20), (80, 24)], ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("name", WINDOWS)
async def test_nothing_is_cut(name: str, size: tuple[int, int]) -> None:
    make, keys = WINDOWS[name]
    app = DialogApp(make())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        assert cut(app) == []


def test_every_window_is_looked_at() -> None:
    import inspect
    from importlib import import_module
    from pkgutil import iter_modules

    from tui.console import dialogs
    from tui.console.dialogs.base import Dialog

    made = {type(make()) for make, _ in WINDOWS.values()}
    for module in iter_modules(dialogs.__path__):
        for one in vars(import_module(f"tui.console.dialogs.{module.name}")).values():
            if inspect.isclass(one) and issubclass(one, Dialog) and one.heading and not one.__subclasses__():
                assert one in made, one


@pytest.mark.parametrize("size", [(40, 12), (60, 20), (80, 24), (200, 60)], ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("name", WINDOWS)
async def test_every_window_names_its_keys(name: str, size: tuple[int, int]) -> None:
    make, keys = WINDOWS[name]
    app = DialogApp(make())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        frame = app.screen.query_one("#dialog")
        edge = [strip.text for strip in app.screen._compositor.render_strips()][frame.region.bottom - 1]
        assert str(frame.border_subtitle) in edge
        assert "Enter" in edge and "Esc" in edge


async def test_an_error_of_two_lines_leaves_its_field_and_the_buttons_in_sight() -> None:
    app = DialogApp(RuleDialog(Rule(id=DEFAULT_ID, name="Default")))
    async with app.run_test(size=(80, 24)) as pilot:
        app.screen.query_one("#max_size").focus()
        await pilot.press(*"huge", "enter")
        await until_shown(pilot, "'huge' is not a size.", "▏huge", "[ OK ]  [ Cancel ]")
        await pilot.press("backspace")
        await until_shown(pilot, "▏hug ", "[ OK ]  [ Cancel ]")
        assert "not a size" not in screen_text(app)
