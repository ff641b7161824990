"""The marks of a list of rows, ranges of rows, and the rows that an action works on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView

from tui.console.marks import Chosen, Marks
from tui.console.widgets.pages import Pages

#: Marks removed at once; this takes about 2 ms.
_FORGOTTEN = 5_000


class MarkedRows(ScrollView):
    """A list with a cursor whose rows can be marked. Subclasses draw it and move the cursor.

    `lost` counts marked copies that others deleted; they are marked again if they come back. If no mark is left because
    of that, actions work on nothing (instead of the row at the cursor) until the user marks, moves the cursor or drops
    the marks.
    """

    cursor: reactive[int] = reactive(0, repaint=False)

    class Changed(Message, namespace="message_list"):
        """Marks or the cursor changed."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, MarkedRows.Changed)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.marks = Marks()
        self._lost: set[int] = set()
        self._changes: deque[tuple[Sequence[int], Callable[[Sequence[int]], None]]] = deque()
        #: Id of the copy viewed last.
        self.viewed: int | None = None
        self.pages: Pages | None = None
        self.cursor_id: int | None = None
        self.range_start: int | None = None
        #: Asked before rows are marked; True: they must not be, and the user was told why.
        self.refused: Callable[[], bool] = lambda: False

    @property
    def count(self) -> int:
        """Number of rows in the result."""
        return self.pages.result.count if self.pages else 0

    def refresh_line(self, y: int) -> None:
        """Repaint one row."""
        raise NotImplementedError

    def selection(self) -> Chosen:
        """Return what an action works on: the marks, or the row at the cursor if nothing is marked."""
        self._end_range()
        if self.marks:
            return self.marks.chosen(self.pages.result if self.pages else None, gone=self.lost)
        if self.lost:
            return Chosen.of([], gone=self.lost)
        return Chosen.of([] if self.cursor_id is None else [self.cursor_id])

    @property
    def views_mark(self) -> bool:
        """True if View opens the one marked copy instead of the one at the cursor.

        Not if it was the last one viewed: after reading a copy and marking it, the user wants the next one.
        """
        single = self.marks.single
        return single is not None and single not in (self.cursor_id, self.viewed)

    @property
    def lost(self) -> int:
        """Number of marked copies that others deleted, and that did not come back."""
        return len(self._lost)

    def forget(self, ids: Sequence[int], *, others: bool = False) -> None:
        """Remove the marks of copies that were deleted (by `others` or here) or delivered."""
        self._change(ids, self._lose if others else self._forget)

    def come_back(self, ids: Sequence[int]) -> None:
        """Mark copies again that others deleted and that are there again."""
        self._change(ids, self._mark_again)

    def _change(self, ids: Sequence[int], change: Callable[[Sequence[int]], None]) -> None:
        """Change the marks of many copies in several steps, so that keys are handled in between; each in its turn."""
        if ids and (self.marks or self._lost or self._changes):
            self._changes.append((ids, change))
            if len(self._changes) == 1:
                self._change_some()

    def _change_some(self) -> None:
        ids, change = self._changes.popleft()
        change(ids[:_FORGOTTEN])
        if len(ids) > _FORGOTTEN:
            self._changes.appendleft((ids[_FORGOTTEN:], change))
        if self._changes:
            self.call_later(self._change_some)
        else:
            self.marks_changed()

    def _lose(self, ids: Sequence[int]) -> None:
        if self.marks:
            self._lost |= self.marks.remove(ids)

    def _forget(self, ids: Sequence[int]) -> None:
        if self.marks:
            self.marks.remove(ids)
            if not self.marks:
                self._lost.clear()

    def _mark_again(self, ids: Sequence[int]) -> None:
        back = self._lost.intersection(ids)
        if back:
            self._lost -= back
            self.marks.take_back(back)

    def settle_lost(self) -> None:
        """Note that the user goes on after all marks were lost: actions work on the row at the cursor again."""
        if not self.marks:
            self._lost.clear()

    def action_mark(self) -> None:
        if self.refused():
            return
        if self.range_start is not None:
            self._end_range()
            return
        if self.cursor_id is not None:
            self.settle_lost()
            self.marks.toggle(self.cursor_id)
            self.refresh_line(self.cursor)
            self.cursor += 1
            self.post_message(self.Changed())

    def action_mark_move(self, step: int) -> None:
        if not self.refused() and self.cursor_id is not None:
            self.settle_lost()
            self.marks.add((self.cursor_id,))
            self.refresh_line(self.cursor)
            before = self.cursor
            self.cursor += step
            if self.cursor != before and self.cursor_id is not None:
                self.marks.add((self.cursor_id,))
                self.refresh_line(self.cursor)
            self.post_message(self.Changed())

    def action_mark_range(self) -> None:
        if self.refused():
            return
        if self.range_start is None and self.count:
            self.settle_lost()
            self.range_start = self.cursor
            self.refresh()
            self.post_message(self.Changed())
        else:
            self._end_range()

    def action_unmark_all(self) -> None:
        self.range_start = None
        self._lost.clear()
        self.marks.clear()
        self.marks_changed()

    def leave_range(self) -> bool:
        """Drop a begun range, or the note that marks were lost. False if there was neither."""
        if self.range_start is None and (self.marks or not self.lost):
            return False
        self.range_start = None
        self.settle_lost()
        self.marks_changed()
        return True

    @property
    def range_count(self) -> int:
        """Number of rows in the begun range."""
        return 0 if self.range_start is None else abs(self.cursor - self.range_start) + 1

    def _end_range(self) -> None:
        if self.range_start is not None and self.pages is not None:
            first, last = sorted((self.range_start, self.cursor))
            self.marks.add(self.pages.result.ids(first, last + 1))
            self.range_start = None
            self.marks_changed()

    def marks_changed(self) -> None:
        """Repaint and report changed marks."""
        self.refresh()
        self.post_message(self.Changed())
