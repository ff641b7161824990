"""The marked copies, by id. Marking a million copies by a filter stores the filter and exceptions, not their ids.

The marks are ids added one by one, plus (optionally) all copies that a frozen filter matched, except those unmarked
since. A frozen filter has only ids up to its high-water id, so that mail that arrives later is never marked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Protocol

#: Most ids for which a frozen filter caches whether it matches them.
_KNOWN = 20_000


class Matches(Protocol):
    """The part of a catalogue's selection that marks need."""

    @property
    def count(self) -> int: ...

    @property
    def partial(self) -> bool: ...

    @property
    def high_water(self) -> int: ...

    @property
    def returned(self) -> frozenset[int]: ...

    def ids(self, start: int = 0, stop: int | None = None) -> list[int]: ...

    def among(self, ids: Iterable[int]) -> set[int]: ...


@dataclass(frozen=True)
class Frozen:
    """All copies that a filter matched at one moment, with ids up to `high_water`.

    `again(wait)` repeats the query for a result that was partial; with True it first waits until all is loaded.
    `beyond`: matches that do not count, since their id is above `high_water`, or they came back from the bin later.
    """

    matches: Matches
    high_water: int
    again: Callable[[bool], Matches]
    beyond: int = 0
    #: Copies back from the bin at that moment; None: those that `matches` knew.
    returned: frozenset[int] | None = None
    _known: dict[int, bool] = field(default_factory=dict, compare=False, repr=False)

    @property
    def count(self) -> int:
        """Number of copies; while the result is partial, of those found so far."""
        return self.matches.count - self.beyond

    def __contains__(self, copy_id: int) -> bool:
        known = self._known.get(copy_id)
        return self.learn((copy_id,))[copy_id] if known is None else known

    def learn(self, ids: Collection[int]) -> dict[int, bool]:
        """Look up and cache which of the ids match. One query for many ids is cheaper than one per id."""
        held = self.held(ids)
        answers = {copy_id: copy_id in held for copy_id in ids}
        if len(self._known) > _KNOWN:
            self._known.clear()
        self._known.update(answers)
        return answers

    def held(self, ids: Collection[int]) -> set[int]:
        """Return the matching ids, with one query."""
        later = self._later(self.matches)
        return {each for each in self.matches.among(ids) if each <= self.high_water and each not in later}

    @property
    def _returned(self) -> frozenset[int]:
        return self.matches.returned if self.returned is None else self.returned

    def _later(self, matches: Matches) -> frozenset[int]:
        """Return copies that came back from the bin after the freezing and before `matches` were found."""
        return matches.returned - self._returned

    def taking_back(self, ids: Collection[int]) -> Frozen:
        """Count copies again that came back from the bin."""
        again = self.matches.among(self._later(self.matches).intersection(ids))
        beyond = self.beyond - sum(copy_id <= self.high_water for copy_id in again)
        return Frozen(self.matches, self.high_water, self.again, beyond, self._returned.union(ids))

    def knows(self, copy_id: int) -> bool:
        """Return True if the answer for this id is cached."""
        return copy_id in self._known

    def ids(self) -> list[int]:
        """Return the ids in the filter's order. Slow: call it in a worker thread."""
        matches = self.again(True) if self.matches.partial else self.matches
        later = self._later(matches)
        return [copy_id for copy_id in matches.ids() if copy_id <= self.high_water and copy_id not in later]

    def fuller(self, *, wait: bool = False) -> Frozen:
        """Repeat the query after more (`wait`: all) of the catalogue was loaded. Slow: call it in a worker thread."""
        matches = self.again(wait)
        beyond, later = 0, self._later(matches)
        if later or matches.high_water > self.high_water:
            beyond = sum(copy_id > self.high_water or copy_id in later for copy_id in matches.ids())
        return Frozen(matches, self.high_water, self.again, beyond, self._returned)


@dataclass(frozen=True)
class Chosen:
    """The copies that an action works on: the marked ones, or the row at the cursor.

    `ids` returns them (slow: call it in a worker thread). `shown`: the listed copies, to count chosen ones outside the
    list; `gone`: number of marked copies that others deleted.
    """

    count: int
    ids: Callable[[], list[int]]
    shown: Matches | None = None
    gone: int = 0

    @classmethod
    def of(cls, ids: Iterable[int], *, gone: int = 0) -> Chosen:
        """Make a choice of just these ids."""
        fixed = list(ids)
        return cls(len(fixed), lambda: fixed, gone=gone)

    def outside(self, ids: Collection[int]) -> int:
        """Count the ids that the list's filter does not show. Slow: call it in a worker thread."""
        return 0 if self.shown is None else len(ids) - len(self.shown.among(ids))


@dataclass
class Marks:
    """The marks of a list. `version` increases with every change, so that painters notice it."""

    included: set[int] = field(default_factory=set)
    excluded: set[int] = field(default_factory=set)
    frozen: Frozen | None = None
    version: int = 0
    #: Copies unmarked while the frozen filter's result was partial and did not have them: it may have them later.
    unmarked: set[int] = field(default_factory=set)

    @property
    def count(self) -> int:
        """Number of marked copies; while a frozen filter is partial, of those found so far."""
        frozen = self.frozen.count - len(self.excluded) if self.frozen else 0
        return frozen + len(self.included)

    @property
    def single(self) -> int | None:
        """The only marked copy; None if there are more or fewer, or a filter marked it."""
        return next(iter(self.included)) if self.frozen is None and len(self.included) == 1 else None

    def __bool__(self) -> bool:
        return self.count > 0

    def __contains__(self, copy_id: int) -> bool:
        if copy_id in self.included:
            return True
        return self.frozen is not None and copy_id not in self.excluded and copy_id in self.frozen

    def add(self, ids: Iterable[int]) -> None:
        """Mark these copies."""
        fixed = list(ids)
        held = self._held(fixed)
        self.excluded.difference_update(fixed)
        self.unmarked.difference_update(fixed)
        self.included.update(copy_id for copy_id in fixed if copy_id not in held)
        self.version += 1

    def remove(self, ids: Iterable[int]) -> set[int]:
        """Unmark these copies, also deleted ones, so that they no longer count. Returns those that were marked."""
        fixed = list(ids)
        single, held = self.included.intersection(fixed), self._held(fixed)
        removed = single | (held - self.excluded)
        self.included -= single
        self.excluded |= held
        if self.frozen is not None and self.frozen.matches.partial:
            self.unmarked.update(copy_id for copy_id in fixed if copy_id not in held)
        self.version += 1
        return removed

    def take_back(self, ids: Collection[int]) -> None:
        """Mark copies again that were unmarked when they were deleted, and that came back from the bin."""
        if self.frozen is not None:
            self.frozen = self.frozen.taking_back(ids)
        self.add(ids)

    def _held(self, ids: list[int]) -> set[int]:
        """Return the ids that the frozen filter matches."""
        return set() if self.frozen is None else self.frozen.held(ids)

    def toggle(self, copy_id: int) -> bool:
        """Mark or unmark a copy; return True if it is marked now."""
        marked = copy_id not in self
        (self.add if marked else self.remove)((copy_id,))
        return marked

    def add_all(self, frozen: Frozen, *, before_ids: Collection[int] = ()) -> None:
        """Mark all copies that a filter matches; other marks stay.

        `before_ids`: the ids of the filter frozen before, listed by a worker thread; they become single marks.
        """
        unmarked = self.excluded | self.unmarked
        self.included.update(copy_id for copy_id in before_ids if copy_id not in unmarked)
        self.frozen = frozen
        self.excluded.clear()
        self.unmarked.clear()
        self.included -= self._held(list(self.included))
        self.version += 1

    def refreeze(self, before: Frozen, fuller: Frozen) -> None:
        """Replace the frozen filter by its fuller result, unless the marks changed meanwhile."""
        if self.frozen is before:
            self._replace(fuller)
            self.version += 1

    def copy(self) -> Marks:
        """Duplicate the marks, to be changed in a worker thread and passed to `take`."""
        return Marks(set(self.included), set(self.excluded), self.frozen, self.version, set(self.unmarked))

    def complete(self) -> None:
        """Wait until the frozen filter's result is complete: only then can all copies of another filter be unmarked."""
        if self.frozen is not None and self.frozen.matches.partial:
            self._replace(self.frozen.fuller(wait=True))

    def _replace(self, fuller: Frozen) -> None:
        """Use the fuller result: it may have copies that were marked or unmarked one by one, and lack deleted ones.

        Each marked copy counts once, and copies that are gone since they were unmarked are not subtracted.
        """
        self.frozen = fuller
        held = fuller.held(self.included | self.excluded | self.unmarked)
        self.excluded = held & (self.excluded | self.unmarked)
        self.included -= held
        self.unmarked = self.unmarked - held if fuller.matches.partial else set()

    def take(self, other: Marks) -> None:
        """Take over the marks of `other`, a changed duplicate."""
        self.included, self.excluded, self.frozen = other.included, other.excluded, other.frozen
        self.unmarked = other.unmarked
        self.version += 1

    def clear(self) -> None:
        """Clear all marks."""
        self.included.clear()
        self.excluded.clear()
        self.unmarked.clear()
        self.frozen = None
        self.version += 1

    def chosen(self, shown: Matches | None = None, *, gone: int = 0) -> Chosen:
        """Freeze the marks for an action: later marking does not change its copies.

        `shown` and `gone` are those of `Chosen`.
        """
        frozen, excluded = self.frozen, self.excluded | self.unmarked
        included = sorted(self.included, reverse=True)

        def ids() -> list[int]:
            first = [copy_id for copy_id in frozen.ids() if copy_id not in excluded] if frozen else []
            if frozen is None or not frozen.matches.partial:
                return first + included
            there = set(first)  # The complete result may have copies that were marked one by one.
            return first + [copy_id for copy_id in included if copy_id not in there]

        return Chosen(self.count, ids, shown, gone)
