"""Marking and unmarking all that a filter matches, and actions that wait until that is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from store.catalogue.sort import Sort
from store.filters.line import MessageFilter
from tui.console.context import ConsoleContext
from tui.console.marks import Chosen, Frozen, Marks
from tui.console.tasks import explain
from tui.console.widgets.marked_rows import MarkedRows
from tui.console.widgets.pages import Result

Act = Callable[[ConsoleContext, Chosen], None]


class Marking:
    """Adds what filters match to the marks of a list, or takes it out of them: one after the other, as was asked."""

    def __init__(self, context: ConsoleContext, rows: MarkedRows) -> None:
        self._context = context
        self._rows = rows
        self._gathering = False
        self._waiting: Act | None = None
        self._next: deque[Callable[[], None]] = deque()

    def act(self, act: Act) -> None:
        """Act on what is chosen: what was asked for before all marks are gathered waits, and takes all of them."""
        if self._gathering:
            self._waiting = act
        else:
            act(self._context, self._rows.selection())

    def add(self, flt: MessageFilter, sort: Sort, result: Result) -> None:
        """Mark `result`, what a filter matches now, besides what is marked. Later copies are not among the marks."""
        frozen = self._freeze(flt, sort, result)
        self._in_turn(lambda: self._add(frozen))

    def remove(self, flt: MessageFilter, sort: Sort, result: Result) -> None:
        """Take the marks off `result`, what a filter matches now: off all of it, also where more of it is found yet."""
        frozen = self._freeze(flt, sort, result)
        self._in_turn(lambda: self._remove(frozen))

    def _in_turn(self, step: Callable[[], None]) -> None:
        if self._gathering:
            self._next.append(step)
        else:
            step()

    def _add(self, frozen: Frozen) -> None:
        # A filter that was marked before is listed out, which takes a while where it is long: in a worker then.
        marks = self._rows.marks
        before = marks.frozen

        def add(ids: list[int]) -> None:
            if marks.frozen is before:
                marks.add_all(frozen, before_ids=ids)
                self._rows.marks_changed()
            self._gathered(act=True)

        if before is None:
            add([])
        else:
            self._gathering = True
            self._context.shell.background(before.ids, add, on_error=self._failed, group="mark")

    def _remove(self, frozen: Frozen) -> None:
        marks = self._rows.marks
        version, before, left = marks.version, marks.count, marks.copy()

        def work() -> Marks:
            left.complete()
            left.remove(frozen.ids())
            return left

        def done(left: Marks) -> None:
            if marks.version != version:
                self._remove(frozen)  # Marked or unmarked by hand meanwhile, or copies are gone.
                return
            marks.take(left)
            self._rows.marks_changed()
            if marks.count == before:
                self._context.shell.notice("None of the copies that match was marked.", severity="warning")
            self._gathered(act=True)

        self._gathering = True
        self._context.shell.background(work, done, on_error=self._failed, group="mark")

    def _failed(self, error: Exception) -> None:
        self._context.shell.notice(explain(error), severity="error")
        self._gathered(act=False)

    def _gathered(self, *, act: bool) -> None:
        self._gathering = False
        if not act:
            self._waiting = None
        while self._next and not self._gathering:
            self._next.popleft()()
        if not self._gathering:
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                waiting(self._context, self._rows.selection())

    def _freeze(self, flt: MessageFilter, sort: Sort, result: Result) -> Frozen:
        """Freeze a filter: its period no longer moves, and it excludes ids above the newest one."""
        fixed = flt.fixed(self._context.clock())
        catalogue = self._context.catalogue

        def again(wait: bool) -> Result:
            if wait:
                catalogue.wait_for(fixed)
            return catalogue.select(fixed, sort)

        return Frozen(result, result.high_water, again)
