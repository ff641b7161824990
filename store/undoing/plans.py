"""What taking an act back does, and what it does not, as an operator is told before it and after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from store.authority.audit import Event
    from store.vault.vault import Vault


class Told(NamedTuple):
    """What comes back, and what does not and why: sentences without a full stop. NOT safe for a terminal."""

    does: tuple[str, ...] = ()
    does_not: tuple[str, ...] = ()


class Plan(NamedTuple):
    """An act that can be taken back, or be done `again`, with what that does as things stand now."""

    act: Event
    again: bool
    what: str
    told: Told

    @property
    def number(self) -> int:
        """What names the act: the number of the first event that tells of it."""
        return self.act.act or self.act.number


class Kind(Protocol):
    """One kind of act."""

    def what(self, act: Event) -> str:
        """The act in a few words. NOT safe for a terminal."""

    def plan(self, vault: Vault, act: Event, *, again: bool) -> Told:
        """What taking it back would do now. It changes nothing."""

    def do(self, vault: Vault, act: Event, *, again: bool, operator: str) -> Told:
        """Take it back, with the event that says so (`undoes`), none where nothing is left; returns what was done."""
