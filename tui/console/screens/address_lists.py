"""Address lists: the black list and the white list of senders, of the organisation and of users."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import Rule, Static

from store.judging.rules.address_lists import AddressLists, added, change_lists, read_lists, removed
from store.judging.rules.address_patterns import canonical
from tui.console import trace
from tui.console.context import ConsoleContext
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.dialogs.list_entries import AddEntriesDialog, FindDialog, NewEntries
from tui.console.keys.keymap import Scope, bindings
from tui.console.text.address_lines import Entry, EntryLines, entries_of, heading, summary
from tui.console.widgets.key_footer import KeysChanged
from tui.console.widgets.line_view import LineView
from tui.console.widgets.pick_list import PickList
from tui.terminal.lines import Line
from tui.terminal.safe import safe
from tui.terminal.words import counted


class AddressListsView(Widget):
    """Every entry of every list. Live: it follows the store; every change is asked for in a window, then written."""

    DEFAULT_CSS = """
    AddressListsView {
        width: 1fr; height: 1fr; layout: vertical;
        & > #addresses-head, & > #addresses-columns { height: 1; }
        & > #addresses-columns { color: $text-muted; }
        & > Rule.-horizontal { height: 1; margin: 0; color: $border-blurred; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.ADDRESSES)
    scope = Scope.ADDRESSES
    title = "Address lists"

    def __init__(self, context: ConsoleContext) -> None:
        super().__init__()
        self.context = context
        self._ready = False
        self._lists: AddressLists | None = None
        self._find = ""
        self.entries: list[Entry] = []

    def compose(self) -> ComposeResult:
        yield Static("", id="addresses-head", markup=False)
        yield Rule(line_style="solid")
        yield Static("", id="addresses-columns", markup=False)
        yield PickList(id="addresses-list")

    def on_mount(self) -> None:
        self._ready = True
        self.list = self.query_one(PickList)
        self.refresh_data()

    def refresh_data(self) -> None:
        """Take up what changed in the lists; the cursor stays on its entry."""
        if self._ready:
            self.context.background(lambda: read_lists(self.context.vault), self._show, group="addresses")

    def _show(self, lists: AddressLists) -> None:
        if self.is_attached and lists != self._lists:
            self._lists = lists
            self._draw()

    def _draw(self, cursor_on: Entry | None = None) -> None:
        if self._lists is None:
            return
        here = cursor_on or self.current
        self.entries = entries_of(self._lists, self._find)
        head = summary(self._lists, len(self.entries), safe(self._find, max_len=30))
        if not self.entries:
            head = f"{head}  ·  nothing to show" if self._find else "No sender is listed yet."
        self.query_one("#addresses-head", Static).update(head)
        self.list.build(self._builder(self.entries))
        if here in self.entries:
            self.list.cursor = self.entries.index(here)
        self.post_message(KeysChanged())

    @staticmethod
    def _builder(entries: Sequence[Entry]) -> Callable[[int], Sequence[Line]]:
        return lambda width: EntryLines(entries, width)

    def on_line_view_wanted(self, event: LineView.Wanted) -> None:
        event.stop()
        self.query_one("#addresses-columns", Static).update(heading(event.width) if self.entries else "")
        event.view.show(event.builder(event.width))
        self.list.to_cursor()

    @property
    def current(self) -> Entry | None:
        """The entry at the cursor."""
        return self.entries[self.list.cursor] if self._ready and self.list.cursor < len(self.entries) else None

    # -- actions

    def reason_against(self, action: str) -> str | None:
        """Why an action is not possible now, or None."""
        if action == "remove-address" and self.current is None:
            return "There is no entry."
        if action == "find-address" and not self.entries and not self._find:
            return "There is no entry."
        return None

    def action_add_address(self) -> None:
        """Ask for entries, and add them to a list: by default to that of the entry at the cursor."""
        here = self.current
        dialog = AddEntriesDialog(here.color, here.user) if here else AddEntriesDialog()
        self.context.shell.ask(dialog, lambda new: self._add(new) if new else None)

    def _add(self, new: NewEntries) -> None:
        before = {canonical(each) for each in (self._lists or AddressLists()).of(new.color, new.user)}
        count = len({canonical(each) for each in new.entries} - before)
        whose = f"of {safe(new.user)}" if new.user else "of the organisation"
        said = f"{counted(count, 'entry has', 'entries have')} been added to the {new.color} list {whose}"
        if not count:
            said = f"The {new.color} list {whose} has that already"
        self._change(
            lambda lists: added(lists, new.color, new.entries, new.user),
            said,
            Entry(new.color, new.user, new.entries[0]),
        )

    def action_remove_address(self) -> None:
        """Remove the entry at the cursor, once that is confirmed."""
        if reason := self.reason_against("remove-address"):
            self.context.notice(reason, severity="warning")
            return
        entry = self.current
        assert entry is not None  # There is one where nothing speaks against removing it.
        whose = safe(entry.user) if entry.user else "the organisation"
        question = f"Remove {safe(entry.text)} from the {entry.color} list of {whose}?"

        def answered(yes: bool | None) -> None:
            if yes:
                said = f"{safe(entry.text)} has been removed from the {entry.color} list"
                self._change(lambda lists: removed(lists, entry.color, [entry.text], entry.user), said)

        self.context.shell.ask(ConfirmDialog("Address lists", question, "Remove"), answered)

    def action_find_address(self) -> None:
        """Ask for a text, and show only what has it."""
        if reason := self.reason_against("find-address"):
            self.context.notice(reason, severity="warning")
            return

        def answered(text: str | None) -> None:
            if text is not None:
                self._look_for(text)

        self.context.shell.ask(FindDialog(self._find), answered)

    def _look_for(self, text: str) -> None:
        self._find = text
        self._draw()

    def action_to_list(self) -> None:
        """Show all entries again; where all are shown, go back to the message list."""
        if self._find:
            self._look_for("")
        else:
            self.context.shell.go("backup")

    def _change(self, change: Callable[[AddressLists], AddressLists], said: str, then: Entry | None = None) -> None:
        trace.note("act", name="address lists")

        def done(lists: AddressLists) -> None:
            self.context.notice(said)
            if self.is_attached:
                self._lists = lists
                self._draw(then)
            self.context.shell.store_changed()

        self.context.background(
            lambda: change_lists(self.context.vault, change, self.context.operator), done, group="addresses-change"
        )
