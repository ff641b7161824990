"""The copies of one act that are in the bin. They can be viewed, brought back or deleted for good."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from store.catalogue.bin_selection import BinSelection
from tui.console.acts import actions
from tui.console.acts.binning import bring_back, bring_back_first, delete_for_good
from tui.console.context import ConsoleContext
from tui.console.keys.keymap import Scope, bindings
from tui.console.screens.page import Page
from tui.console.tasks import explain
from tui.console.text.bin_lines import Held, deleted_by
from tui.console.widgets.key_footer import KeysChanged
from tui.console.widgets.list_header import Line, ListHeader
from tui.console.widgets.message_list import MOVES, MessageList
from tui.console.widgets.pages import Pages
from tui.terminal.bin_words import promise_words
from tui.terminal.safe import fit
from tui.terminal.words import copies

NONE_LEFT = "No copies of this act are in the bin any more."


class BinnedList(MessageList, inherit_bindings=False):
    """The message list, for copies in the bin."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Scope.LIST, only=MOVES - {"view"}),
        *bindings(Scope.BINNED, only={"view"}),
    ]
    scope = Scope.BINNED


class BinnedView(Page):
    """The copies of an act still in the bin, newest first. Updates keep marks and cursor on their copies."""

    DEFAULT_CSS = """
    BinnedView {
        & > #head { height: 1; }
        & > #head.-problem { height: auto; max-height: 4; color: $error; }
        & > MessageList { height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.BINNED, but={"view"})
    scope = Scope.BINNED

    def __init__(self, context: ConsoleContext, held: Held) -> None:
        super().__init__(context)
        self.held = held
        self._ids: list[int] | None = None
        self._state: tuple[int, ...] = ()
        self.head = Static(id="head", markup=False)
        self.list = BinnedList(clock=context.clock, tz=context.tz, id="binned")

    def compose(self) -> ComposeResult:
        yield self.head
        yield Line()
        yield ListHeader(id="list-header")
        yield self.list

    def focus_main(self) -> None:
        """Give the list the focus."""
        self.screen.set_focus(self.list)

    def follow_store(self) -> None:
        vault, act, shown = self.context.vault, self.held.act.act, self._state
        around = self.list.window()

        def read() -> tuple[tuple[int, ...], list[int], Pages] | None:
            state = (vault.bin.newest_row(), *vault.bin.totals())
            if state == shown:
                return None
            ids = vault.bin.ids(act)[::-1]
            pages = self.list.new_pages(BinSelection(vault, ids))
            pages.load(*around)
            return state, ids, pages

        self.context.shell.background(read, self._show, on_error=self._failed, group="binned")

    def _show(self, read: tuple[tuple[int, ...], list[int], Pages] | None) -> None:
        if not self.is_attached or read is None:
            return
        keep = self._ids is not None
        self._state, self._ids, pages = read
        self.head.remove_class("-problem")
        marked = self.list.marks.included
        self.list.forget(sorted(marked.difference(self._ids)), others=not self.context.deleting)
        if self.list.lost:
            self.list.come_back(self._ids)
        self.list.empty_text = NONE_LEFT
        self.list.show(pages, keep=keep)
        self._show_head()
        self.post_message(KeysChanged())

    def _failed(self, error: Exception) -> None:
        if self.is_attached:
            self.head.add_class("-problem")
            self.head.update(f"▲ {explain(error)}")

    def _show_head(self) -> None:
        """Show the head line: ``1,204 copies, deleted by ada on 24 Nov 2026 07:41, kept until 2
        Dec``, with the number of marks.
        """
        if self.head.has_class("-problem") or self._ids is None:
            return
        marked, lost, act = self.list.marks.count, self.list.lost, self.held.act
        parts = [f"● {marked:,} of {copies(len(self._ids))}" if marked else copies(len(self._ids))]
        if self.list.range_count:
            parts.append(f"range of {self.list.range_count:,}")
        if lost:
            parts.append(f"{lost:,} marked {'is' if lost == 1 else 'are'} gone")
        parts.append(deleted_by(act, self.context.tz))
        if act.until:
            parts.append(f"kept {promise_words(self.held.promise, self.context.tz, self.context.clock())}")
        self.head.update(fit(", ".join(parts), max(1, self.size.width)).rstrip())

    def on_resize(self) -> None:
        self._show_head()

    def on_message_list_changed(self, event: MessageList.Changed) -> None:
        event.stop()
        self._show_head()

    def on_message_list_opened(self, event: MessageList.Opened) -> None:
        event.stop()
        self.context.shell.open_copy(event.copy_id, self.list.neighbour)

    def on_list_header_sort_by(self, event: ListHeader.SortBy) -> None:
        event.stop()

    def reason_against(self, action: str) -> str | None:
        """Return why an action is not possible now, or None."""
        if action == "binned-back":
            return None
        return actions.reason_against(self.context, action) or (None if self.list.count else NONE_LEFT)

    def action_view(self) -> None:
        """View the copy at the cursor. The list handles the key; this is for footer and palette."""
        self.list.action_view()

    def action_bring_back(self) -> None:
        """Ask, then bring back the marked copies or the one at the cursor."""
        if not self.refused("binned-restore"):
            bring_back(self.context, self.list.selection(), taken=self._taken)

    def action_delete(self) -> None:
        """Ask for their number, then delete the marked copies (or the one at the cursor) for good."""
        if not self.refused("binned-delete"):
            delete_for_good(self.context, self.list.selection(), taken=self._taken)

    def action_deliver(self) -> None:
        """Ask, bring back the marked copies or the one at the cursor, then ask to whom to deliver them."""
        self._from_backup("deliver")

    def action_save(self) -> None:
        """Ask, bring back the marked copies or the one at the cursor, then ask where to save them."""
        self._from_backup("save")

    def _from_backup(self, verb: Literal["deliver", "save"]) -> None:
        if not self.refused(f"binned-{verb}"):
            bring_back_first(self.context, self.list.selection(), verb, taken=self._taken)

    def action_mark_all(self) -> None:
        """Mark all copies of the act that are still in the bin."""
        self.list.settle_lost()
        self.list.marks.add(self._ids or ())
        self.list.marks_changed()

    def action_back(self) -> None:
        """Drop a begun range; without one, go back to the bin."""
        if not self.list.leave_range():
            self.context.shell.close_page()

    def _taken(self, ids: Collection[int]) -> None:
        """Remove the marks of copies that left the bin."""
        self.list.forget(list(ids))
