"""Marking and unmarking all copies that a filter matches, and acts that wait for it."""

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
    """Adds the matches of filters to the marks of a list, or removes them, in the order of the requests."""

    def __init__(self, context: ConsoleContext, rows: MarkedRows) -> None:
        self._context = context
        self._rows = rows
        self._gathering = False
        self._waiting: Act | None = None
        self._next: deque[Callable[[], None]] = deque()

    def act(self, act: Act) -> None:
        """Run an act on the chosen copies. If marking is still going on, the act waits for all marks."""
        if self._gathering:
            self._waiting = act
        else:
            act(self._context, self._rows.selection())

    def add(self, flt: MessageFilter, sort: Sort, result: Result) -> None:
        """Mark all copies in `result`, the current matches of a filter, in addition to those marked.

        Later copies stay unmarked.
        """
        frozen = self._freeze(flt, sort, result)
        self._in_turn(lambda: self._add(frozen))

    def remove(self, flt: MessageFilter, sort: Sort, result: Result) -> None:
        """Remove the marks of all copies in `result`, the current matches of a filter.

        Waits until all of them are found.
        """
        frozen = self._freeze(flt, sort, result)
        self._in_turn(lambda: self._remove(frozen))

    def _in_turn(self, step: Callable[[], None]) -> None:
        if self._gathering:
            self._next.append(step)
        else:
            step()

    def _add(self, frozen: Frozen) -> None:
        # The ids of a filter marked before are listed now. That may take long, so it runs in a worker thread.
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
                self._remove(frozen)  # The marks changed meanwhile: start again.
                return
            marks.take(left)
            self._rows.marks_changed()
            if marks.count == before:
                self._context.shell.notice("None of the matching copies was marked.", severity="refusal")
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
        """Freeze a filter: fix its period, and exclude copies with an id above the newest one."""
        fixed = flt.fixed(self._context.clock())
        catalogue = self._context.catalogue

        def again(wait: bool) -> Result:
            if wait:
                catalogue.wait_for(fixed)
            return catalogue.select(fixed, sort)

        return Frozen(result, result.high_water, again)
