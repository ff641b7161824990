"""Address lists: the black and white lists of senders, of the organisation and of users."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import BindingType

from store.judging.rules.address_lists import AddressLists, added, change_lists, read_lists, removed
from store.judging.rules.address_patterns import canonical
from tui.console.context import ConsoleContext
from tui.console.dialogs.find_text import FindEntryDialog
from tui.console.dialogs.list_entries import AddEntriesDialog, NewEntries
from tui.console.keys.keymap import Scope, bindings
from tui.console.screens.list_page import ListPage
from tui.console.text.address_lines import Entry, EntryLines, entries_of, heading, summary
from tui.console.widgets.line_view import Builder
from tui.terminal.safe import safe
from tui.terminal.words import counted


class AddressListsView(ListPage[Entry]):
    """All entries of all lists, kept up to date with the store. Each change is asked for in a window, then written."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.ADDRESSES)
    scope = Scope.ADDRESSES
    title = "Address lists"
    has_columns = True
    has_detail = False

    def __init__(self, context: ConsoleContext) -> None:
        super().__init__(context)
        self._lists: AddressLists | None = None
        self._find = ""

    def follow_store(self) -> None:
        self.read(lambda: read_lists(self.context.vault), self._show, group="addresses")

    def _show(self, lists: AddressLists, cursor_on: Entry | None = None) -> None:
        if self.is_attached and (lists != self._lists or cursor_on is not None):
            self._lists = lists
            self._list(lists, cursor_on)

    def _list(self, lists: AddressLists, cursor_on: Entry | None = None) -> None:
        entries = entries_of(lists, self._find)
        head = summary(lists, len(entries), safe(self._find, max_len=30))
        if not entries:
            head = f"{head}  ·  nothing to show" if self._find else "No sender is listed yet."
        self.show_items(entries, head, cursor_on=cursor_on)

    def key_of(self, item: Entry) -> Entry:
        return item

    def headings(self, width: int) -> str:
        return heading(width) if self.items else ""

    def list_builder(self) -> Builder:
        entries = self.items
        return lambda width: EntryLines(entries, width)

    def reason_against(self, action: str) -> str | None:
        if action == "remove-address" and self.current is None:
            return "No entry is selected."
        if action == "find-address" and not self.items and not self._find:
            return "No entry is selected."
        return None

    def action_add_address(self) -> None:
        """Ask for entries and add them to a list; the list of the entry at the cursor is preselected."""
        here = self.current
        dialog = AddEntriesDialog(here.color, here.user) if here else AddEntriesDialog()
        self.context.shell.ask(dialog, lambda new: self._add(new) if new else None)

    def _add(self, new: NewEntries) -> None:
        before = {canonical(each) for each in (self._lists or AddressLists()).of(new.color, new.user)}
        count = len({canonical(each) for each in new.entries} - before)
        whose = f"of {safe(new.user)}" if new.user else "of the organisation"
        said = f"{counted(count, 'entry has', 'entries have')} been added to the {new.color} list {whose}"
        if not count:
            said = f"The {new.color} list {whose} already has it"
        self._change(
            lambda lists: added(lists, new.color, new.entries, new.user),
            said,
            Entry(new.color, new.user, new.entries[0]),
        )

    def action_remove_address(self) -> None:
        """Ask, then remove the entry at the cursor."""
        entry = self.allowed("remove-address")
        if entry is None:
            return
        whose = safe(entry.user) if entry.user else "the organisation"
        question = f"Remove {safe(entry.text)} from the {entry.color} list of {whose}?"
        said = f"{safe(entry.text)} has been removed from the {entry.color} list"

        def change(lists: AddressLists) -> AddressLists:
            return removed(lists, entry.color, [entry.text], entry.user)

        self.confirm(question, "Remove", lambda: self._change(change, said))

    def action_find_address(self) -> None:
        """Ask for a text, and show only the entries that contain it."""
        if self.refused("find-address"):
            return

        def answered(text: str | None) -> None:
            if text is not None:
                self._look_for(text)

        self.context.shell.ask(FindEntryDialog(self._find), answered)

    def _look_for(self, text: str) -> None:
        self._find = text
        if self._lists is not None:
            self._list(self._lists)

    def action_to_list(self) -> None:
        """Show all entries again; if all are shown, go back to the message list."""
        if self._find:
            self._look_for("")
        else:
            self.context.shell.go("backup")

    def _change(self, change: Callable[[AddressLists], AddressLists], said: str, then: Entry | None = None) -> None:
        def done(lists: AddressLists) -> str:
            self._show(lists, then)
            return said

        self.do(lambda: change_lists(self.context.vault, change, self.context.operator), done)
