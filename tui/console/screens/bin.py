"""The Bin: deletions by operators, one line per act, above the act at the cursor in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.binding import BindingType

from store.space.bin import promises
from store.space.limits import Usage, usage
from store.terms.records import Row, row_of
from tui.console.acts import actions
from tui.console.acts.binning import bring_back, delete_for_good
from tui.console.context import ConsoleContext
from tui.console.keys.keymap import Scope, bindings
from tui.console.marks import Chosen
from tui.console.screens.list_page import ListPage
from tui.console.text import bin_lines as made
from tui.console.text.bin_lines import Held
from tui.console.widgets.line_view import Builder

#: Copies of an act that are listed by name; acts for which these lists are cached.
_NAMED, _KEPT = 20, 50
#: Ms after which the next change in the store has the promises computed again, even if the bin did not change.
_STALE = 60_000
EMPTY = "The bin is empty."


class _Read(NamedTuple):
    """The contents read, and a state that changes whenever they do."""

    state: tuple[int, ...]
    acts: list[Held]
    usage: Usage


class BinView(ListPage[Held]):
    """The acts that have copies in the bin, newest first. Kept up to date with the store."""

    DEFAULT_CSS = """
    BinView > #detail { height: 60%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.BIN)
    scope = Scope.BIN
    title = "Bin"
    has_columns = True

    def __init__(self, context: ConsoleContext) -> None:
        super().__init__(context)
        self._state: tuple[int, ...] = ()
        self._named: dict[tuple[int, int], list[Row]] = {}

    def follow_store(self) -> None:
        vault, shown, now = self.context.vault, self._state, self.context.clock()

        def read() -> _Read | None:
            # Read the state first: a change after it is noticed at the next poll.
            state = (vault.bin.newest_row(), *vault.bin.totals(), now // _STALE)
            if state == shown:
                return None
            acts = vault.bin.acts()
            worth = promises(vault, acts, now=now)
            return _Read(state, [Held(act, worth[act.act]) for act in acts], usage(vault))

        self.read(read, self._show, group="bin")

    def _show(self, read: _Read | None) -> None:
        if self.is_attached and read is not None:
            self._state = read.state
            self.show_items(read.acts, made.summary(read.usage) if read.acts else EMPTY)

    def key_of(self, item: Held) -> int:
        return item.act.act

    def headings(self, width: int) -> str:
        return made.heading(width)

    def list_builder(self) -> Builder:
        acts, now, zone = self.items, self.context.clock(), self.context.tz
        return lambda width: [made.act_line(held, now, zone, width) for held in acts]

    def detail_builder(self, item: Held) -> Builder:
        rows, now, zone = self._rows_of(item), self.context.clock(), self.context.tz
        return lambda width: made.detail_lines(item, rows, now, zone, width)

    def _rows_of(self, item: Held) -> Sequence[Row] | None:
        """Return an act's newest copies; None until they are read."""
        vault, act, key = self.context.vault, item.act.act, (item.act.act, item.act.left)
        if key in self._named:
            return self._named[key]

        def read() -> list[Row]:
            newest = vault.bin.ids(act)[: -_NAMED - 1 : -1]
            return [row_of(copy) for copy in vault.get_many(newest, on_error=lambda *_: None, binned=True)]

        def show(rows: list[Row]) -> None:
            while len(self._named) >= _KEPT:
                self._named.pop(next(iter(self._named)))
            self._named[key] = rows
            if self.is_attached and (held := self.current) is not None and (held.act.act, held.act.left) == key:
                self._draw_detail()

        self.context.shell.background(read, show, group="bin-copies")
        return None

    def picked(self) -> None:
        self.action_copies()

    def reason_against(self, action: str) -> str | None:
        """Return why an action is not possible now, or None."""
        return actions.reason_against(self.context, action) or (None if self.items else EMPTY)

    def action_copies(self) -> None:
        """Show the copies of the act at the cursor."""
        if held := self.allowed("bin-copies"):
            self.context.shell.open_act(held)

    def action_bring_back(self) -> None:
        """Ask, then bring back the remaining copies of the act at the cursor."""
        if held := self.allowed("bin-restore"):
            bring_back(self.context, self._copies(held), which=made.deleted_by(held.act, self.context.tz))

    def action_delete(self) -> None:
        """Ask for their number, then delete the remaining copies of the act at the cursor for good."""
        if held := self.allowed("bin-delete"):
            delete_for_good(self.context, self._copies(held), which=made.deleted_by(held.act, self.context.tz))

    def action_empty(self) -> None:
        """Ask for the number of copies, then empty the bin for good."""
        if self.allowed("bin-empty"):
            count = sum(held.act.left for held in self.items)
            delete_for_good(self.context, Chosen(count, self.context.vault.bin.ids))

    def _copies(self, held: Held) -> Chosen:
        vault, act = self.context.vault, held.act
        return Chosen(act.left, lambda: vault.bin.ids(act.act))
