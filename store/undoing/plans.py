"""Plans and results of undoing an act, as shown to an operator before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from store.terms.progress import Cancelled, Progress

if TYPE_CHECKING:
    from store.authority.audit import Event
    from store.vault.vault import Vault


class PastAct(NamedTuple):
    """An act of the trail: one event, combined from all its `parts`, newest first."""

    event: Event
    parts: tuple[Event, ...]

    @property
    def number(self) -> int:
        """The act's number, which is that of its first event."""
        return self.event.act or self.event.number


class Told(NamedTuple):
    """What is undone, and what is not and why: sentences without a full stop. NOT safe for a terminal."""

    does: tuple[str, ...] = ()
    does_not: tuple[str, ...] = ()


class Plan(NamedTuple):
    """An act that can be undone, or done `again`, and what that would do now."""

    act: PastAct
    again: bool
    what: str
    told: Told


class Kind(Protocol):
    """How one kind of act is undone."""

    def what(self, act: PastAct) -> str:
        """Describe the act in a few words. NOT safe for a terminal."""

    def plan(self, vault: Vault, act: PastAct, *, again: bool) -> Told:
        """Plan what undoing the act would do now. Changes nothing."""

    def do(
        self, vault: Vault, act: PastAct, *, again: bool, operator: str, progress: Progress, cancelled: Cancelled
    ) -> Told:
        """Undo the act, or do it `again`. Returns what was done.

        Writes an event with `undoes`, unless some of it is left to do.
        """
