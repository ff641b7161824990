"""The saved filters in the tree, with the number of copies each matches, counted in a
thread after changes of the store.

Counting waits until the user's queries pause, and takes at most a tenth of a processor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from store.filters.line import MessageFilter, parse
from store.filters.named import SavedFilter, key_of
from store.terms.errors import FilterError
from tui.console.context import ConsoleContext
from tui.console.follow import Facts

#: The pause between two counts is at least the first (s), and at least the second times the last count's duration.
APART, TIMES = 2.0, 10.0
#: Seconds after which an unchanged store is counted again: `period:hour` then covers another hour.
ANEW = 60.0
#: Seconds after which counting no longer waits for a pause in the user's queries.
PATIENCE = 10.0


class Entry(NamedTuple):
    """A saved filter and its parsed form, None if it cannot be parsed."""

    saved: SavedFilter
    filter: MessageFilter | None


class SavedFilters:
    """The saved filters of the console. Counting runs in a thread, everything else on the event loop's thread.

    `changed` is called with the entries and their counts by key (None: unknown).
    """

    def __init__(
        self, context: ConsoleContext, changed: Callable[[Sequence[Entry], Mapping[str, int | None]], None]
    ) -> None:
        self._context = context
        self._changed = changed
        self._seen: tuple[SavedFilter, ...] = ()
        self.entries: tuple[Entry, ...] = ()
        self._counts: dict[str, int | None] = {}
        self._stale = self._counting = False
        self._since = self._counted_at = self._due = 0.0

    def take(self, facts: Facts, *, counting: bool = True) -> None:
        """Take over changes of the store. `counting`: the counts are visible, so count now if it is time."""
        if facts.saved is not self._seen:
            self._seen = facts.saved
            self.entries = tuple(Entry(one, self._read(one)) for one in facts.saved)
            lines = {key_of(one.saved.name): one for one in self.entries}
            self._counts = {key: count for key, count in self._counts.items() if key in lines}
            self._due = 0.0
            self._show()
        if not self._stale:
            self._stale, self._since = True, time.monotonic()
        if counting:
            self.look()

    def _read(self, saved: SavedFilter) -> MessageFilter | None:
        try:
            return parse(saved.line, tz=self._context.tz)
        except FilterError:
            return None

    def look(self) -> None:
        """Count if it is time to."""
        now = time.monotonic()
        if self._counting or not self.entries or now < self._due:
            return
        if not self._stale and now - self._counted_at < ANEW:
            return
        if not self._context.catalogue.at_rest and now - max(self._since, self._counted_at) < PATIENCE:
            return
        self._counting, self._stale = True, False
        catalogue, entries = self._context.catalogue, self.entries

        def work() -> dict[str, int | None]:
            return {key_of(each.saved.name): catalogue.count(each.filter) for each in entries if each.filter}

        def done(counts: dict[str, int | None]) -> None:
            self._counting = False
            self._counted_at = time.monotonic()
            self._due = self._counted_at + max(APART, TIMES * (self._counted_at - now))
            if entries is self.entries:
                # None means unknown at the moment: keep the last count
                self._counts = {key: self._counts.get(key) if n is None else n for key, n in counts.items()}
                self._show()

        def failed(_error: Exception) -> None:  # the follower reports the error
            self._counting, self._stale = False, True
            self._due = time.monotonic() + APART

        self._context.shell.background(work, done, on_error=failed, group="saved-counts")

    def _show(self) -> None:
        self._changed(self.entries, self._counts)

    def of(self, key: str) -> Entry | None:
        """Return the saved filter with a key, or None."""
        return next((each for each in self.entries if key_of(each.saved.name) == key), None)

    def key_like(self, flt: MessageFilter) -> str | None:
        """Return the key of the saved filter that equals `flt`, or None."""
        if flt.is_empty:
            return None
        return next((key_of(each.saved.name) for each in self.entries if each.filter == flt), None)
