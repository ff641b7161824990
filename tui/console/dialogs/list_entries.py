"""The window that adds entries to the address lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Static

from store.judging.rules.address_lists import check_entry, check_user
from store.terms.errors import RuleError
from tui.console.dialogs.base import Dialog
from tui.console.widgets.controls import Choice, Field

COLORS = ("black", "white")
_EXPLAINED = {
    "black": "Messages from these senders are Blacklisted, and the rule's action for that is applied.",
    "white": "Messages from these senders are not checked for spam. Anti-Virus still checks them.",
}


class NewEntries(NamedTuple):
    """Entries to add to the list `color` of `user` ("" is the organisation)."""

    color: str
    user: str
    entries: tuple[str, ...]


class AddEntriesDialog(Dialog[NewEntries]):
    """Asks for entries and a list; returns them checked, or None."""

    DEFAULT_CSS = """
    AddEntriesDialog {
        .name { width: 14; height: 1; }
    }
    """
    heading = "Add to an address list"
    first_focus = "#entries"

    def __init__(self, color: str = "black", user: str = "") -> None:
        super().__init__()
        self.color = color
        self.user = user

    def body(self) -> Iterable[Widget]:
        yield self._row("Senders", Field(placeholder="addresses or *.domains", id="entries"))
        yield self._row("List", Choice(("Black", "White"), COLORS.index(self.color), id="color"))
        yield Static(_EXPLAINED[self.color], id="explained", classes="note", markup=False)
        owner = Choice(("The organisation", "A user"), 1 if self.user else 0, id="owner")
        yield self._row("Whose", owner)
        user = Field(self.user, placeholder="for example bob@corp.example", id="user")
        user.disabled = not self.user
        yield self._row("User", user)

    @staticmethod
    def _row(label: str, control: Widget) -> Horizontal:
        return Horizontal(Static(label, classes="name", markup=False), control, classes="row")

    def on_choice_changed(self, event: Choice.Changed) -> None:
        event.stop()
        if event.choice.id == "color":
            self.query_one("#explained", Static).update(_EXPLAINED[COLORS[event.index]])
        else:
            self.query_one("#user", Field).disabled = event.index == 0
            self.complain("")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.complain("")

    def accept(self) -> None:
        words = self.query_one("#entries", Field).value.replace(",", " ").replace(";", " ").split()
        if not words:
            self.complain("Enter one or more addresses, domains or patterns.", "#entries")
            return
        try:
            entries = tuple(check_entry(word) for word in words)
        except RuleError as error:
            self.complain(str(error), "#entries")
            return
        try:
            owned = self.query_one("#owner", Choice).index == 1
            user = check_user(self.query_one("#user", Field).value) if owned else ""
        except RuleError as error:
            self.complain(str(error), "#user")
            return
        self.dismiss(NewEntries(COLORS[self.query_one("#color", Choice).index], user, entries))
