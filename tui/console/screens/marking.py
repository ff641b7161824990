"""Marking all that a filter matches, and actions that wait until that is done."""

from __future__ import annotations

from collections.abc import Callable

from store.catalogue.sort import Sort
from store.filters.line import MessageFilter
from tui.console.context import ConsoleContext
from tui.console.marks import Chosen, Frozen
from tui.console.tasks import explain
from tui.console.widgets.marked_rows import MarkedRows
from tui.console.widgets.pages import Result

Act = Callable[[ConsoleContext, Chosen], None]


class Marking:
    """Adds what filters match to the marks of a list."""

    def __init__(self, context: ConsoleContext, rows: MarkedRows) -> None:
        self._context = context
        self._rows = rows
        self._gathering = False
        self._waiting: Act | None = None

    def act(self, act: Act) -> None:
        """Act on what is chosen: what was asked for before all marks are gathered waits, and takes all of them."""
        if self._gathering:
            self._waiting = act
        else:
            act(self._context, self._rows.selection())

    def add(self, flt: MessageFilter, sort: Sort, result: Result) -> None:
        """Mark `result`, what a filter matches now, besides what is marked. Later copies are not among the marks."""
        # A filter that was marked before is listed out, which takes a while where it is long: in a worker then.
        frozen, marks = self._freeze(flt, sort, result), self._rows.marks
        before = marks.frozen

        def add(ids: list[int]) -> None:
            if marks.frozen is before:
                marks.add_all(frozen, before_ids=ids)
                self._rows.marks_changed()
            self._gathered(act=True)

        def failed(error: Exception) -> None:
            self._context.shell.notice(explain(error), severity="error")
            self._gathered(act=False)

        if before is None:
            add([])
        else:
            self._gathering = True
            self._context.shell.background(before.ids, add, on_error=failed, group="mark")

    def _gathered(self, *, act: bool) -> None:
        self._gathering, waiting, self._waiting = False, self._waiting, None
        if act and waiting is not None:
            waiting(self._context, self._rows.selection())

    def _freeze(self, flt: MessageFilter, sort: Sort, result: Result) -> Frozen:
        """A filter at this moment: its period no longer moves, and nothing above the high-water id is in it."""
        fixed = flt.fixed(self._context.clock())
        catalogue = self._context.catalogue

        def again(wait: bool) -> Result:
            if wait:
                catalogue.wait_for(fixed)
            return catalogue.select(fixed, sort)

        return Frozen(result, result.high_water, again)
