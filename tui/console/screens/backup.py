"""The Backup section: the filter line and the list of message copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message

from store.campaigns.standing import Standing
from store.catalogue.column_fields import CAMPAIGN_FIELDS
from store.catalogue.sort import NEWEST, Sort, SortKey
from store.filters.line import MessageFilter, print_filter
from store.terms.errors import FilterError
from store.terms.verdicts import Engine
from tui.console.acts import actions, saving_filters
from tui.console.acts.chosen_facts import open_campaign_of, rules_to_choose
from tui.console.context import ConsoleContext
from tui.console.follow import Facts
from tui.console.keys.keymap import Scope, bindings
from tui.console.marks import Frozen
from tui.console.screens.marking import Act, Marking
from tui.console.screens.page import Page
from tui.console.tasks import explain
from tui.console.typing_on import TypingOn
from tui.console.widgets.counts import counts_line, loading_words
from tui.console.widgets.filter_line import FilterLine, counts_room
from tui.console.widgets.found import needles
from tui.console.widgets.key_footer import KeysChanged
from tui.console.widgets.list_header import Line, ListHeader
from tui.console.widgets.message_list import MOVES, MessageList
from tui.console.widgets.pages import Pages, Result
from tui.terminal.cells import zone_name
from tui.terminal.words import no_traits

#: What the list shows while the filter line cannot be read, or only up to an unfinished word, and what to do.
_STANDS = "The list still shows the last valid filter. Correct the line, or press Esc to clear it."
_UNFINISHED = "The list shows the filter without it. Complete the line, or press Esc to clear it."
#: Sort keys that start descending: the newest and the largest come first.
_DOWNWARD = frozenset({SortKey.PLACED, SortKey.SIZE})
#: A typed letter is painted after at most this time (s), and then with its result: painting it first would take
#: the interpreter away from the query.
_WITH_RESULT = 0.03


class BackupView(Page):
    """The message list with its filter.

    The filter line decides which copies are listed and which tree line is current.
    """

    DEFAULT_CSS = """
    BackupView > MessageList { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.LIST, but=MOVES)
    scope = Scope.LIST

    class Filtered(Message):
        """The filter changed."""

        def __init__(self, flt: MessageFilter) -> None:
            super().__init__()
            self.filter = flt

    class Quit(Message):
        """The user asked to leave the console."""

    def __init__(self, context: ConsoleContext) -> None:
        super().__init__(context, id="backup")
        self.filter = MessageFilter()
        self._typing_on = TypingOn(context)
        self.sort = NEWEST
        self.being_read = "", ""
        self._standing: Standing | None = None
        self._fresh = True
        self._unread = self._problem = ""
        self._marked_outside = 0
        self._views_mark = False
        self._loading = False
        #: Called with each result shown until it returns True.
        self.once_shown: Callable[[Result], bool] | None = None

    def compose(self) -> ComposeResult:
        self.line = FilterLine(self.edit_filter, id="filter")
        self.header = ListHeader(id="list-header")
        self.list = MessageList(clock=self.context.clock, tz=self.context.tz, id="messages")
        self.list.refused = self.refused_unread
        self.marking = Marking(self.context, self.list)
        yield self.line
        yield Line()
        yield self.header
        yield self.list

    def focus_main(self) -> None:
        """Give the list the focus."""
        self.screen.set_focus(self.list)

    def set_filter(self, flt: MessageFilter, *, text: str | None = None) -> None:
        """List the copies that a filter matches.

        `text`: what the user typed for it; without, the filter line is rewritten.
        """
        self._set_unread("")
        self._say_problem("")
        if text is None:
            self.line.show_text(print_filter(flt, tz=self.context.tz))
        if flt == self.filter:
            self._show_counts()
            return
        # Clearing the filter keeps the cursor on its copy, so that a found copy is seen among its neighbours.
        self._fresh = self._fresh or not flt.is_empty
        self.filter = flt
        self.post_message(self.Filtered(flt))
        self._query(wait=0.0 if text is None else _WITH_RESULT)

    def set_engine(self, engine: Engine | None) -> None:
        """Narrow the filter to one engine; None removes the narrowing."""
        engines = frozenset() if engine is None else frozenset({engine})
        self.set_filter(msgspec.structs.replace(self.filter, engines=engines, not_engines=frozenset()))

    @property
    def engine(self) -> Engine | None:
        """The only engine of the filter, or None."""
        return next(iter(self.filter.engines)) if len(self.filter.engines) == 1 else None

    def set_sort(self, sort: Sort) -> None:
        """Sort the list, and move to its first row."""
        self.sort = sort
        self.header.sort = (sort.key.value, sort.descending)
        self._fresh = True
        self._query()

    def sort_by(self, key: SortKey) -> None:
        """Sort by a column; if the list is sorted by it already, reverse the order."""
        same = self.sort.key is key
        self.set_sort(Sort(key, not self.sort.descending if same else key in _DOWNWARD))

    @property
    def count(self) -> int:
        """Number of copies listed."""
        return self.list.count

    def take_facts(self, facts: Facts) -> None:
        """Show what changed in the store."""
        self.list.forget(facts.gone, others=not self.context.deleting)
        self.list.come_back(facts.back)
        outcomes_changed = self.list.set_outcomes(facts.outcomes)
        loading = loading_words(facts.loaded, facts.total, facts.complete, facts.reading)
        standing, self._standing = self._standing, facts.standing
        other_campaigns = standing is not facts.standing and not self.filter.asks().isdisjoint(CAMPAIGN_FIELDS)
        other_outcomes = outcomes_changed and self.filter.asks_delivered()
        if facts.copies_changed or loading != self.being_read or other_outcomes or other_campaigns:
            self.being_read = loading
            self._query()

    def follow_store(self) -> None:
        """Query again; cursor and marks stay on their copies."""
        self._query()

    def _query(self, *, wait: float = 0.0) -> None:
        catalogue, flt, sort = self.context.catalogue, self.filter, self.sort
        fresh, cursor_id, line = self._fresh, self.list.cursor_id, self.list.cursor - round(self.list.scroll_y)
        height = max(40, self.list.size.height)
        frozen = self.list.marks.frozen
        marked = [] if frozen is not None else list(self.list.marks.included)

        def work() -> tuple[Pages, Frozen | None]:
            result = catalogue.select(flt, sort)
            pages = self.list.new_pages(result)
            at = None if fresh or cursor_id is None else result.position(cursor_id)
            top = self.list.window()[0] if at is None and not fresh else max(0, (at or 0) - line)
            pages.load(top - height, top + 2 * height)
            self._marked_outside = len(marked) - len(result.among(marked)) if marked else 0
            fuller = frozen.fuller() if frozen is not None and frozen.matches.partial else None
            return pages, fuller

        def done(answer: tuple[Pages, Frozen | None]) -> None:
            pages, fuller = answer
            if frozen is not None and fuller is not None:
                self.list.marks.refreeze(frozen, fuller)
            keep, self._fresh = not self._fresh, False
            self._say_empty(pages.result)
            self.list.painter.needles = needles(flt)
            self.list.show(pages, keep=keep)
            if self.once_shown is not None and self.once_shown(pages.result):
                self.once_shown = None
            self._show_counts()
            self.call_after_refresh(self._typing_on.shown, pages.result.count)
            self._start_loading()

        def failed(error: Exception) -> None:
            self.context.shell.notice(explain(error), severity="error")
            self._start_loading()

        self.context.shell.background(work, done, on_error=failed, group="select", wait=wait)

    def _start_loading(self) -> None:
        """Start loading the catalogue after the first rows are painted: its imports would delay them."""
        if not self._loading:
            self._loading = True
            self.call_after_refresh(self.context.catalogue.start)

    def edit_filter(self, text: str) -> None:
        """List the copies that the text in the filter line matches, or show what is wrong with the text.

        An unfinished word is ignored for now: `settle` shows what is wrong with it.
        """
        unfinished = ""
        self._typing_on.edited(text)
        try:
            try:
                flt = self.context.parse(text)
            except FilterError as error:
                flt = self.context.parse(text, lenient=True)
                unfinished = f"{error} {_UNFINISHED}"
        except FilterError as error:
            self._set_unread(f"{error} {_STANDS}")
            self.settle()
            return
        self.set_filter(flt, text=text)
        self._set_unread(unfinished)

    def _set_unread(self, reason: str) -> None:
        if bool(reason) != bool(self._unread):
            self.post_message(KeysChanged())
        self._unread = reason

    @property
    def unread(self) -> str:
        """Why the list is not what the filter line says, and what to do; "" if it is."""
        return f"The filter line is not read. {self._unread}" if self._unread else ""

    def settle(self) -> bool:
        """Show what is wrong with the text in the filter line, now also unfinished words. Return True if it is read."""
        self._say_problem(self._unread)
        self._show_counts()
        return not self._unread

    def refused_unread(self) -> bool:
        """Return True if the list is not what the filter line says, after a notice with the reason."""
        if not self.settle():
            self.context.shell.notice(self.unread, severity="refusal")
        return bool(self._unread)

    def _say_problem(self, text: str) -> None:
        """Show below the filter line why it cannot be read, on as many lines as needed; "" removes the message."""
        if text != self._problem:
            self._problem = text
            self.line.show_problem(text)
            self._say_empty()

    def _say_empty(self, result: Result | None = None) -> None:
        """Choose the text of an empty list. If the filter cannot be read, it must not say that nothing matches."""
        if self._problem:
            self.list.empty_text = "The list is empty because the filter is invalid."
        elif self.filter.is_empty:
            self.list.empty_text = "There is no message copy in Backup."
        elif result is not None and result.partial:
            self.list.empty_text = "No message copy matches the filter so far; still reading."
        elif result is not None and result.unread:
            self.list.empty_text = f"No message copy matches the filter. {no_traits(result.unread)}"
        else:
            self.list.empty_text = "No message copy matches the filter. Esc clears it."
        self.list.refresh()

    def on_filter_line_done(self, event: FilterLine.Done) -> None:
        event.stop()
        if self.settle():
            self.focus_main()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        if event.widget is self.line.input:
            self.settle()

    def on_list_header_sort_by(self, event: ListHeader.SortBy) -> None:
        event.stop()
        self.sort_by(SortKey(event.name))

    def on_message_list_opened(self, event: MessageList.Opened) -> None:
        event.stop()
        self.context.shell.open_copy(event.copy_id, self.list.neighbour)

    def on_message_list_changed(self, event: MessageList.Changed) -> None:
        event.stop()
        self._show_counts()
        if self.list.views_mark != self._views_mark:
            self._views_mark = self.list.views_mark
            self.post_message(KeysChanged())

    def on_resize(self) -> None:
        self._show_counts()

    def _show_counts(self) -> None:
        if self.list.pages is None:
            return
        marks = self.list.marks.count
        self.line.show_counts(
            counts_line(
                self.list.pages.result,
                filtered=not self.filter.is_empty,
                problem=bool(self._problem),
                loading=self.being_read,
                range_count=self.list.range_count,
                marked=marks,
                outside=min(marks, self._marked_outside),
                gone=self.list.lost,
                zone=zone_name(self.context.tz, self.context.clock()),
                wide=self.size.width >= 66,
                room=counts_room(self.size.width),
            )
        )

    def action_deliver(self) -> None:
        self._act(actions.deliver)

    def action_delete(self) -> None:
        self._act(actions.delete)

    def action_save(self) -> None:
        self._act(actions.save)

    def _act(self, act: Act) -> None:
        if not self.refused_unread():
            self.marking.act(act)

    def action_filter(self) -> None:
        self.line.focus_text()

    def action_back(self) -> None:
        if not self.list.leave_range() and not (self.filter.is_empty and not self.line.text):
            self.set_filter(MessageFilter())

    def action_search_filter(self) -> None:
        from tui.console.dialogs.search_filter import SearchFilterDialog

        def answered(flt: MessageFilter | None) -> None:
            if flt is not None:
                self.set_filter(flt)

        def ask(rules: list[tuple[int, str]]) -> None:
            dialog = SearchFilterDialog(self.filter, rules=rules, tz=self.context.tz, now=self.context.clock())
            self.context.shell.ask(dialog, answered)

        self.context.shell.background(lambda: rules_to_choose(self.context), ask, group="look")

    def action_save_filter(self) -> None:
        if not self.refused_unread():
            saving_filters.save(self.context, self.line.text, self.filter)

    def action_sort(self) -> None:
        from tui.console.dialogs.sort import SortDialog

        self.context.shell.ask(SortDialog(self.sort), lambda key: self.sort_by(key) if key else None)

    def action_mark_query(self) -> None:
        from tui.console.dialogs.mark import MarkDialog

        dialog = MarkDialog(self.context, self.line.text)
        self.context.shell.ask(dialog, lambda found: self.mark_matches(*found) if found else None)

    def action_unmark_query(self) -> None:
        from tui.console.dialogs.mark import UnmarkDialog

        def answered(found: tuple[MessageFilter, Result] | None) -> None:
            if found is not None:
                self.marking.remove(found[0], self.sort, found[1])

        self.context.shell.ask(UnmarkDialog(self.context, self.line.text, marked=bool(self.list.marks)), answered)

    def mark_matches(self, flt: MessageFilter, result: Result) -> None:
        """Mark the copies that a query found, in addition to those marked."""
        self.marking.add(flt, self.sort, result)

    def action_copy(self) -> None:
        from tui.console.dialogs.copy import CopyDialog

        if self.list.current and self.list.pages and (row := self.list.pages.whole(self.list.cursor)):
            self.context.shell.ask(CopyDialog(row), self._copied)

    def action_campaign(self) -> None:
        """Open the campaign of the copy at the cursor."""
        if (row := self.list.current) is not None:
            open_campaign_of(self.context, row.id)

    def _copied(self, text: str | None) -> None:
        if text:
            self.app.copy_to_clipboard(text)
            self.context.shell.notice(f"Copied: {text}")

    def action_leave(self) -> None:
        self.post_message(self.Quit())

    def action_mark_all(self) -> None:
        """Mark all copies that the filter matches now, not those that arrive later."""
        if self.list.pages is not None and not self.refused_unread():
            self.mark_matches(self.filter, self.list.pages.result)
