"""A page with a list of items, and below it the item at the cursor in full."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.widgets import Rule, Static

from tui.console import trace
from tui.console.context import ConsoleContext
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.screens.page import Page
from tui.console.tasks import explain
from tui.console.widgets.key_footer import KeysChanged
from tui.console.widgets.line_view import Builder, LineView
from tui.console.widgets.pick_list import PickList

Item = TypeVar("Item")
R = TypeVar("R")


class ListPage(Page, Generic[Item]):
    """A page of items. Updates keep the cursor on its item.

    Subclasses read the store in `follow_store`, pass the items to `show_items`, and override the hooks. Without
    `has_detail` only the list is shown.
    """

    DEFAULT_CSS = """
    ListPage {
        & > #head, & > #columns { height: 1; }
        & > #head { text-wrap: nowrap; text-overflow: ellipsis; }
        & > #head.-problem { height: auto; max-height: 4; text-wrap: wrap; color: $error; }
        & > #columns { color: $text-muted; }
        & > #detail { min-height: 5; }
    }
    """
    #: Title of the page's question windows.
    title: ClassVar[str]
    #: True if column headings stand above the list.
    has_columns: ClassVar[bool] = False
    #: True if the item at the cursor is shown in full below the list.
    has_detail: ClassVar[bool] = True

    def __init__(self, context: ConsoleContext) -> None:
        super().__init__(context)
        self.items: Sequence[Item] = ()
        self.head = Static("", id="head", markup=False)
        self.columns = Static("", id="columns", markup=False)
        self.list = PickList(id="list")
        self.detail = LineView(id="detail")
        self._follow = False
        self._summary = ""
        #: Why the store cannot be read, or "".
        self.problem = ""

    def compose(self) -> ComposeResult:
        yield self.head
        yield Rule(line_style="solid")
        if self.has_columns:
            yield self.columns
        yield self.list
        if self.has_detail:
            yield Rule(line_style="solid")
            yield self.detail

    def key_of(self, item: Item) -> Hashable:
        """Return the key that identifies an item in later reads."""
        raise NotImplementedError

    def list_builder(self) -> Builder:
        """Return the builder of the list's lines, one per item."""
        raise NotImplementedError

    def detail_builder(self, item: Item) -> Builder:
        """Return the builder of the lines that show an item in full."""
        raise NotImplementedError

    def headings(self, width: int) -> str:
        """Return the column headings, on pages that have them."""
        return ""

    def _say(self, problem: str) -> None:
        """Show a problem in place of the line above the list; "" restores that line."""
        if problem == self.problem or not self.is_attached:
            return
        self.problem = problem
        self.head.set_class(bool(problem), "-problem")
        self.head.update(f"▲ {problem}" if problem else self._summary)

    def set_head(self, head: str) -> None:
        """Set the line above the list."""
        self._summary = head
        if not self.problem:
            self.head.update(head)

    def read(self, work: Callable[[], R], done: Callable[[R], None], *, group: str) -> None:
        """Run `work` in a thread and pass its result to `done`.

        An error is shown above the list, which stays as it was.
        """

        def failed(error: Exception) -> None:
            self._say(explain(error))

        def found(result: R) -> None:
            self._say("")
            done(result)

        self.context.shell.background(work, found, on_error=failed, group=group)

    @property
    def current(self) -> Item | None:
        """The item at the cursor, None if there is none."""
        return self.items[self.list.cursor] if self.list.cursor < len(self.items) else None

    def show_items(self, items: Sequence[Item], head: str, *, cursor_on: Hashable = None) -> None:
        """Show these items. The cursor stays on its item, or goes to the one whose key is `cursor_on`."""
        here = cursor_on
        if here is None and self.current is not None:
            here = self.key_of(self.current)
        self.items, self._summary = items, head
        self.head.update(head)
        self.draw()
        if here is not None:
            moved = self.go_to(lambda item: self.key_of(item) == here)
            self._follow = moved or cursor_on is not None  # the item may be below the lines built so far

    def go_to(self, wanted: Callable[[Item], bool]) -> bool:
        """Move the cursor to the first item for which `wanted` is True; return True if the cursor moved."""
        before = self.list.cursor
        self.list.cursor = next((at for at, item in enumerate(self.items) if wanted(item)), before)
        return self.list.cursor != before

    def draw(self) -> None:
        """Redraw the list and the item in full."""
        self.list.build(self.list_builder())
        self._draw_detail()

    def _draw_detail(self) -> None:
        if self.has_detail:
            item = self.current
            self.detail.build(None if item is None else self.detail_builder(item))
        self.post_message(KeysChanged())

    def build_lines(self, event: LineView.Wanted) -> None:
        # Build the lines here, not in a thread (1,000 lines take some ms): the cursor needs them at once.
        super().build_lines(event)
        if event.view is not self.list:
            return
        if self.has_columns:
            self.columns.update(self.headings(event.width))
        if self._follow:
            self._follow = False
            self.list.to_cursor()

    def on_pick_list_moved(self, event: PickList.Moved) -> None:
        event.stop()
        self._draw_detail()
        if self.has_detail:
            self.detail.to_top()

    def on_pick_list_picked(self, event: PickList.Picked) -> None:
        event.stop()
        self.picked()

    def picked(self) -> None:
        """Handle Enter or a double click on the item at the cursor. A hook."""

    def action_detail(self, direction: int) -> None:
        """Scroll the item in full; the movement keys move the cursor instead."""
        self.detail.action_half_page(direction)

    def allowed(self, action: str) -> Item | None:
        """Return the item at the cursor, or None (after a notice with the reason) if the
        action is not possible for it.
        """
        return None if self.refused(action) else self.current

    def confirm(
        self, question: str, verb: str, on_yes: Callable[[], None], *, refuse: str = "Cancel", danger: bool = False
    ) -> None:
        """Ask in a window with the buttons `verb` and `refuse`."""
        dialog = ConfirmDialog(self.title, question, verb, refuse=refuse, danger=danger)
        self.context.shell.ask(dialog, lambda yes: on_yes() if yes else None)

    def do(self, work: Callable[[], R], done: Callable[[R], str]) -> None:
        """Change the store in a thread. `done` gets the result and returns the text of the notice."""

        def finished(result: R) -> None:
            self.context.shell.notice(done(result))
            self.context.shell.store_changed()

        trace.note("act", name=self.title.lower())
        self.context.shell.background(work, finished, group=f"{self.title}: act")
