"""Which copies are marked, by id, with an inverted flag so that marking a million costs nothing.

The marks are a set of ids, or everything a frozen filter matched (up to its high-water id, so that mail which arrives
later is never in it) but for those taken out again, and then the ids that were added one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Protocol

#: How many answers a frozen filter remembers.
_KNOWN = 20_000


class Matches(Protocol):
    """What marks need of a catalogue's selection."""

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
    """Everything that a filter matched at one moment, up to `high_water`.

    `again` finds it once more for one that was partial then (with True: after waiting until it no longer is); `beyond`
    says how many of the matches are none of it: they have a higher id than the high water, or came back out of the bin
    later, below it.
    """

    matches: Matches
    high_water: int
    again: Callable[[bool], Matches]
    beyond: int = 0
    #: What had come out of the bin by then, where that was not when `matches` were found.
    returned: frozenset[int] | None = None
    _known: dict[int, bool] = field(default_factory=dict, compare=False, repr=False)

    @property
    def count(self) -> int:
        """How many copies it holds; while it is partial, those that were found so far."""
        return self.matches.count - self.beyond

    def __contains__(self, copy_id: int) -> bool:
        known = self._known.get(copy_id)
        return self.learn((copy_id,))[copy_id] if known is None else known

    def learn(self, ids: Collection[int]) -> dict[int, bool]:
        """Look up these at once (one look at the catalogue costs more than an id); pages are asked again."""
        held = self.held(ids)
        answers = {copy_id: copy_id in held for copy_id in ids}
        if len(self._known) > _KNOWN:
            self._known.clear()
        self._known.update(answers)
        return answers

    def held(self, ids: Collection[int]) -> set[int]:
        """Those of the ids that it holds; one look at the catalogue."""
        later = self._later(self.matches)
        return {each for each in self.matches.among(ids) if each <= self.high_water and each not in later}

    def _later(self, matches: Matches) -> frozenset[int]:
        """Return what came back out of the bin by the time `matches` were found, but was not there at the moment."""
        returned = self.matches.returned if self.returned is None else self.returned
        return matches.returned - returned

    def knows(self, copy_id: int) -> bool:
        """Return True if asking for this one costs nothing."""
        return copy_id in self._known

    def ids(self) -> list[int]:
        """Return the ids in the filter's order; takes time, so call it in a worker."""
        matches = self.again(True) if self.matches.partial else self.matches
        later = self._later(matches)
        return [copy_id for copy_id in matches.ids() if copy_id <= self.high_water and copy_id not in later]

    def fuller(self, *, wait: bool = False) -> Frozen:
        """Find the matches again after more (`wait`: all) of the catalogue was read; takes time: call it in a
        worker.
        """
        matches = self.again(wait)
        beyond, later = 0, self._later(matches)
        if later or matches.high_water > self.high_water:
            beyond = sum(copy_id > self.high_water or copy_id in later for copy_id in matches.ids())
        returned = self.matches.returned if self.returned is None else self.returned
        return Frozen(matches, self.high_water, self.again, beyond, returned)


@dataclass(frozen=True)
class Chosen:
    """What an action works on: the marks, or the cursor's row where there are none.

    `ids` finds them (in a worker: it may take time). `shown` is what the list shows, to say how many lie outside;
    `gone` of the marked copies were deleted by others.
    """

    count: int
    ids: Callable[[], list[int]]
    shown: Matches | None = None
    gone: int = 0

    @classmethod
    def of(cls, ids: Iterable[int], *, gone: int = 0) -> Chosen:
        """Just these ids."""
        fixed = list(ids)
        return cls(len(fixed), lambda: fixed, gone=gone)

    def outside(self, ids: Collection[int]) -> int:
        """How many of these ids the list's filter does not show; takes time, so call it in a worker."""
        return 0 if self.shown is None else len(ids) - len(self.shown.among(ids))


@dataclass
class Marks:
    """The marks of one list. `version` changes with every change, for whoever paints them."""

    included: set[int] = field(default_factory=set)
    excluded: set[int] = field(default_factory=set)
    frozen: Frozen | None = None
    version: int = 0

    @property
    def count(self) -> int:
        """How many copies are marked; while a frozen filter is partial, those that were found so far."""
        frozen = self.frozen.count - len(self.excluded) if self.frozen else 0
        return frozen + len(self.included)

    @property
    def single(self) -> int | None:
        """The one copy that is marked; None where there are more or fewer, or the marks are a filter's."""
        return next(iter(self.included)) if self.frozen is None and len(self.included) == 1 else None

    def __bool__(self) -> bool:
        return self.count > 0

    def __contains__(self, copy_id: int) -> bool:
        if copy_id in self.included:
            return True
        return self.frozen is not None and copy_id not in self.excluded and copy_id in self.frozen

    def add(self, ids: Iterable[int]) -> None:
        """Mark these."""
        fixed = list(ids)
        held = self._held(fixed)
        self.excluded.difference_update(fixed)
        self.included.update(copy_id for copy_id in fixed if copy_id not in held)
        self.version += 1

    def remove(self, ids: Iterable[int]) -> None:
        """Take the mark off these. Also for copies that were deleted: they count no longer."""
        fixed = list(ids)
        self.included.difference_update(fixed)
        self.excluded |= self._held(fixed)
        self.version += 1

    def _held(self, ids: list[int]) -> set[int]:
        """Those that the frozen filter holds."""
        return set() if self.frozen is None else self.frozen.held(ids)

    def toggle(self, copy_id: int) -> bool:
        """Mark or unmark one; True if it is marked now."""
        marked = copy_id not in self
        (self.add if marked else self.remove)((copy_id,))
        return marked

    def add_all(self, frozen: Frozen, *, before_ids: Collection[int] = ()) -> None:
        """Mark everything a filter matches. Marks outside of it stay.

        `before_ids` are the ids of the filter that was frozen before, which is listed out (in a worker).
        """
        self.included.update(copy_id for copy_id in before_ids if copy_id not in self.excluded)
        self.frozen = frozen
        self.excluded.clear()
        self.included -= self._held(list(self.included))
        self.version += 1

    def refreeze(self, before: Frozen, fuller: Frozen) -> None:
        """Take the fuller result of the frozen filter, unless the marks are no longer those it was made for."""
        if self.frozen is before:
            self.frozen = fuller
            self.version += 1

    def copy(self) -> Marks:
        """Copy the marks, to be changed in a worker and taken up then."""
        return Marks(set(self.included), set(self.excluded), self.frozen, self.version)

    def complete(self) -> None:
        """Wait until the frozen filter is no longer partial: only then all that it holds can be taken out."""
        if self.frozen is not None and self.frozen.matches.partial:
            self.frozen = self.frozen.fuller(wait=True)

    def take(self, other: Marks) -> None:
        """Become what was made of a copy."""
        self.included, self.excluded, self.frozen = other.included, other.excluded, other.frozen
        self.version += 1

    def clear(self) -> None:
        """No marks."""
        self.included.clear()
        self.excluded.clear()
        self.frozen = None
        self.version += 1

    def chosen(self, shown: Matches | None = None, *, gone: int = 0) -> Chosen:
        """Freeze the marks for an action: later marking does not change it. `shown`, `gone` as in `Chosen`."""
        frozen, excluded, included = self.frozen, set(self.excluded), sorted(self.included, reverse=True)

        def ids() -> list[int]:
            first = [copy_id for copy_id in frozen.ids() if copy_id not in excluded] if frozen else []
            return first + included

        return Chosen(self.count, ids, shown, gone)
