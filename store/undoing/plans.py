"""What taking an act back does, and what it does not, as an operator is told before it and after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from store.authority.audit import Event
    from store.vault.vault import Vault


#: Told how many copies are done, and of how many.
Progress = Callable[[int, int], None]
Cancelled = Callable[[], bool]


class PastAct(NamedTuple):
    """An act of the trail: one event, folded from all of its `parts`, which are the newest first."""

    event: Event
    parts: tuple[Event, ...]

    @property
    def number(self) -> int:
        """What names the act: the number of the first event that tells of it."""
        return self.event.act or self.event.number


class Told(NamedTuple):
    """What comes back, and what does not and why: sentences without a full stop. NOT safe for a terminal."""

    does: tuple[str, ...] = ()
    does_not: tuple[str, ...] = ()


class Plan(NamedTuple):
    """An act that can be taken back, or be done `again`, with what that does as things stand now."""

    act: PastAct
    again: bool
    what: str
    told: Told


class Kind(Protocol):
    """One kind of act."""

    def what(self, act: PastAct) -> str:
        """Describe the act in a few words. NOT safe for a terminal."""

    def plan(self, vault: Vault, act: PastAct, *, again: bool) -> Told:
        """Plan what taking it back would do now. Changes nothing."""

    def do(
        self, vault: Vault, act: PastAct, *, again: bool, operator: str, progress: Progress, cancelled: Cancelled
    ) -> Told:
        """Take it back, with the event that says so (`undoes`), none where nothing is left; returns what was done."""
