"""Which copies are marked, by id, with an inverted flag so that marking a million costs nothing.

The marks are a set of ids, or everything a frozen filter matched (up to its high-water id, so that mail which arrives
later is never in it) but for those taken out again, and then the ids that were added one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol


class Matches(Protocol):
    """What marks need of a catalogue's selection."""

    @property
    def count(self) -> int: ...

    @property
    def partial(self) -> bool: ...

    def __contains__(self, copy_id: int, /) -> bool: ...

    def ids(self, start: int = 0, stop: int | None = None) -> list[int]: ...


@dataclass(frozen=True)
class Frozen:
    """Everything that a filter matched at one moment. `again` finds it once more, for one that was partial then."""

    matches: Matches
    high_water: int
    again: Callable[[], Matches]

    def __contains__(self, copy_id: int) -> bool:
        return copy_id <= self.high_water and copy_id in self.matches

    def ids(self) -> list[int]:
        """The ids in the filter's order; takes time, so call it in a worker."""
        matches = self.again() if self.matches.partial else self.matches
        return [copy_id for copy_id in matches.ids() if copy_id <= self.high_water]


@dataclass(frozen=True)
class Chosen:
    """What an action works on: the marks, or the cursor's row where there are none.

    `ids` finds them (in a worker: it may take time). `marked` is False for the cursor's row.
    """

    count: int
    ids: Callable[[], list[int]]
    marked: bool = False

    @classmethod
    def of(cls, ids: Iterable[int]) -> Chosen:
        """Just these ids."""
        fixed = list(ids)
        return cls(len(fixed), lambda: fixed)


@dataclass
class Marks:
    """The marks of one list. `version` changes with every change, for whoever paints them."""

    included: set[int] = field(default_factory=set)
    excluded: set[int] = field(default_factory=set)
    frozen: Frozen | None = None
    version: int = 0

    @property
    def inverted(self) -> bool:
        """True where the marks are a whole filter with some taken out."""
        return self.frozen is not None

    @property
    def count(self) -> int:
        """How many copies are marked; while a frozen filter is partial, those that were found so far."""
        frozen = self.frozen.matches.count - len(self.excluded) if self.frozen else 0
        return frozen + len(self.included)

    def __bool__(self) -> bool:
        return self.count > 0

    def __contains__(self, copy_id: int) -> bool:
        if copy_id in self.included:
            return True
        return self.frozen is not None and copy_id not in self.excluded and copy_id in self.frozen

    def add(self, ids: Iterable[int]) -> None:
        """Mark these."""
        for copy_id in ids:
            self.excluded.discard(copy_id)
            if self.frozen is None or copy_id not in self.frozen:
                self.included.add(copy_id)
        self.version += 1

    def remove(self, ids: Iterable[int]) -> None:
        """Take the mark off these. Also for copies that were deleted: they count no longer."""
        for copy_id in ids:
            self.included.discard(copy_id)
            if self.frozen is not None and copy_id in self.frozen:
                self.excluded.add(copy_id)
        self.version += 1

    def toggle(self, copy_id: int) -> bool:
        """Mark or unmark one; True if it is marked now."""
        marked = copy_id not in self
        (self.add if marked else self.remove)((copy_id,))
        return marked

    def add_all(self, frozen: Frozen) -> None:
        """Mark everything a filter matches. Marks outside of it stay; another frozen filter is listed out once."""
        if self.frozen is not None:
            self.included.update(copy_id for copy_id in self.frozen.ids() if copy_id not in self.excluded)
        self.frozen = frozen
        self.excluded.clear()
        self.included = {copy_id for copy_id in self.included if copy_id not in frozen}
        self.version += 1

    def refreeze(self, matches: Matches) -> None:
        """Take the fuller result of the frozen filter, found after more of the catalogue was there."""
        if self.frozen is not None:
            self.frozen = Frozen(matches, self.frozen.high_water, self.frozen.again)
            self.version += 1

    def clear(self) -> None:
        """No marks."""
        self.included.clear()
        self.excluded.clear()
        self.frozen = None
        self.version += 1

    def chosen(self) -> Chosen:
        """The marks of this moment, for an action: later marking does not change it."""
        frozen, excluded, included = self.frozen, set(self.excluded), sorted(self.included, reverse=True)

        def ids() -> list[int]:
            first = [copy_id for copy_id in frozen.ids() if copy_id not in excluded] if frozen else []
            return first + included

        return Chosen(self.count, ids, marked=True)
