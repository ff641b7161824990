"""The saved filters in the tree: what each matches, counted in a thread, and again when the store changed.

Counting waits for a pause in what the user asks, and takes a tenth of a processor at most.
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

#: Seconds between two counts at least, and how many times as long as the last one took.
APART, TIMES = 2.0, 10.0
#: Seconds after which is counted anew where nothing changed: `period:hour` means another hour.
ANEW = 60.0
#: Seconds after which is counted although the user asks one thing after the other.
PATIENCE = 10.0


class Entry(NamedTuple):
    """A saved filter, with what its line means; None where it cannot be read."""

    saved: SavedFilter
    filter: MessageFilter | None


class SavedFilters:
    """The saved filters of the console. Everything but the counting itself is on the event loop's thread.

    `changed` is called with the entries and their counts by key, None where one is not known yet.
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
        """Take up what changed in the store, and count where counts are to be seen."""
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
        """Count, if it is time to."""
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
                # What is not known at the moment was true a moment ago.
                self._counts = {key: self._counts.get(key) if n is None else n for key, n in counts.items()}
                self._show()

        def failed(_error: Exception) -> None:  # Whoever follows the store says so.
            self._counting, self._stale = False, True
            self._due = time.monotonic() + APART

        self._context.shell.background(work, done, on_error=failed, group="saved-counts")

    def _show(self) -> None:
        self._changed(self.entries, self._counts)

    def of(self, key: str) -> Entry | None:
        """Find the saved filter with a key."""
        return next((each for each in self.entries if key_of(each.saved.name) == key), None)

    def key_like(self, flt: MessageFilter) -> str | None:
        """Find the key of the saved filter that means this; None if none does."""
        if flt.is_empty:
            return None
        return next((key_of(each.saved.name) for each in self.entries if each.filter == flt), None)
