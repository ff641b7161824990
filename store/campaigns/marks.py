"""The operators' settings for campaigns: names, owners, states, notes, peeled-off copies, and joins.

Stored as sealed, signed configuration: shared by all who open the store, recorded in the trail, and undone with `z`. It
refers to campaigns by their lasting ids and to copies by theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from store.authority import configuration
from store.terms.errors import UsageError

if TYPE_CHECKING:
    from store.vault.vault import Vault

NAME = "campaigns"
#: Actions of these changes, as recorded in the trail.
NAMED, OWNED, NOTED, STATED = "campaign named", "campaign taken", "campaign noted", "campaign state"
PEELED, JOINED = "peeled off a campaign", "campaigns joined"
ACTIONS = (NAMED, OWNED, NOTED, STATED, PEELED, JOINED)
MAX_NAME, MAX_NOTE = 60, 500
#: The most copies that may be peeled off in all, and the most campaigns with marks.
MAX_PEELED, MAX_MARKS = 20_000, 2_000


class State(StrEnum):
    """The state of the work on a campaign."""

    NEW = "new"
    OPEN = "open"
    DONE = "done"


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """The mark of a campaign. `into`: the campaign that it was joined to, 0 if none. The texts are NOT safe."""

    campaign: int
    name: str = ""
    owner: str = ""
    state: State = State.NEW
    note: str = ""
    into: int = 0


class Peeled(msgspec.Struct, frozen=True, array_like=True):
    """Copies (ascending) taken out of a campaign, and a copy that stays (`stays`).

    Copies like those are kept out too.
    """

    campaign: int
    copies: tuple[int, ...]
    stays: int


class Marks(msgspec.Struct, frozen=True, array_like=True):
    """All marks, by campaign, and all that was peeled off, by campaign and copies."""

    marks: tuple[Mark, ...] = ()
    peeled: tuple[Peeled, ...] = ()

    def of(self, campaign: int) -> Mark:
        """Return the mark of a campaign; an empty one if it has none."""
        return next((one for one in self.marks if one.campaign == campaign), Mark(campaign))

    def taken_out(self, campaign: int) -> set[int]:
        """Return the copies that were peeled off a campaign."""
        return {copy for one in self.peeled if one.campaign == campaign for copy in one.copies}

    @property
    def all_taken_out(self) -> frozenset[int]:
        """The copies peeled off any campaign; no campaign act takes them."""
        return frozenset(copy for one in self.peeled for copy in one.copies)


def read_marks(vault: Vault) -> tuple[Marks, int]:
    """Read the marks and their version. Raises TamperedError, StoreFormat."""
    stored = configuration.read(vault, NAME, Marks)
    return (stored.value, stored.version) if stored else (Marks(), 0)


def name(vault: Vault, campaign: int, text: str, *, operator: str = "") -> Mark:
    """Set the name of a campaign; "" removes it. Raises UsageError, TamperedError."""
    text = _checked(text, "name", MAX_NAME)
    return _mark(
        vault, campaign, lambda one: msgspec.structs.replace(one, name=text), operator, NAMED, text or "no name"
    )


def note(vault: Vault, campaign: int, text: str, *, operator: str = "") -> Mark:
    """Set the note of a campaign; "" removes it. Raises UsageError, TamperedError."""
    text = _checked(text, "note", MAX_NOTE)
    return _mark(
        vault, campaign, lambda one: msgspec.structs.replace(one, note=text), operator, NOTED, text or "no note"
    )


def own(vault: Vault, campaign: int, owner: str, *, operator: str = "") -> Mark:
    """Set the owner of a campaign; "" removes it. An owner makes a new campaign open.

    Raises UsageError, TamperedError.
    """
    owner = _checked(owner, "owner", MAX_NAME)

    def change(one: Mark) -> Mark:
        state = State.OPEN if owner and one.state is State.NEW else one.state
        return msgspec.structs.replace(one, owner=owner, state=state)

    return _mark(vault, campaign, change, operator, OWNED, f"by {owner}" if owner else "by nobody")


def set_state(vault: Vault, campaign: int, state: State, *, operator: str = "") -> Mark:
    """Set the state of the work on a campaign. Raises UsageError, TamperedError."""
    return _mark(vault, campaign, lambda one: msgspec.structs.replace(one, state=state), operator, STATED, state.value)


def peel(vault: Vault, campaign: int, copies: Iterable[int], stays: int, *, operator: str = "") -> Peeled:
    """Take copies, and later copies like them, out of a campaign. `stays`: a copy that stays in it.

    Raises UsageError if too many copies are peeled off, TamperedError.
    """
    out = Peeled(campaign, tuple(sorted(set(copies) - {stays})), stays)
    if not out.copies:
        raise UsageError("Nothing to peel off. Give copies of the campaign, and leave at least one in it.")

    def change(marks: Marks) -> Marks:
        peeled = tuple(sorted((*marks.peeled, out), key=lambda one: (one.campaign, one.copies)))
        if sum(len(one.copies) for one in peeled) > MAX_PEELED:
            raise UsageError(f"More than {MAX_PEELED:,} copies would be peeled off: delete or release some first.")
        return msgspec.structs.replace(marks, peeled=peeled)

    _change(vault, change, operator, PEELED, f"{len(out.copies):,} of campaign {campaign}")
    return out


def join(vault: Vault, campaign: int, into: int, *, operator: str = "") -> Mark:
    """Join a campaign to another; `into` 0 separates it again. Raises UsageError, TamperedError."""
    marks, _ = read_marks(vault)
    target = into
    while target and marks.of(target).into:
        target = marks.of(target).into
    if target == campaign:
        raise UsageError(f"Campaign {campaign} cannot be joined to itself.")
    told = f"{campaign} to {target}" if target else f"{campaign} stands alone"
    return _mark(vault, campaign, lambda one: msgspec.structs.replace(one, into=target), operator, JOINED, told)


def join_all(vault: Vault, campaigns: Sequence[int], into: int, *, operator: str = "") -> None:
    """Join campaigns to another in one act, undone as one. Raises UsageError, TamperedError."""

    def change(marks: Marks) -> Marks:
        target = into
        while marks.of(target).into:
            target = marks.of(target).into
        if target in campaigns:
            raise UsageError(f"Campaign {target} cannot be joined to itself.")
        kept = {one.campaign: one for one in marks.marks}
        kept |= {number: msgspec.structs.replace(marks.of(number), into=target) for number in campaigns}
        if len(kept) > MAX_MARKS:
            raise UsageError(
                f"{MAX_MARKS:,} campaigns already have a name, owner, state or note, the maximum. Clear some first."
            )
        return msgspec.structs.replace(marks, marks=tuple(kept[number] for number in sorted(kept)))

    _change(vault, change, operator, JOINED, f"{', '.join(map(str, campaigns))} to {into}")


def _checked(text: str, what: str, limit: int) -> str:
    text = " ".join(text.split())
    if len(text) > limit:
        raise UsageError(f"The {what} of a campaign can have at most {limit} characters.")
    if not text.isprintable():
        raise UsageError(f"The {what} of a campaign contains a character that cannot be shown.")
    return text


def _mark(vault: Vault, campaign: int, change: Callable[[Mark], Mark], operator: str, action: str, detail: str) -> Mark:
    changed = Mark(campaign)

    def put(marks: Marks) -> Marks:
        nonlocal changed
        changed = change(marks.of(campaign))
        others = [one for one in marks.marks if one.campaign != campaign]
        if len(others) >= MAX_MARKS:
            raise UsageError(
                f"{MAX_MARKS:,} campaigns already have a name, owner, state or note, the maximum. Clear some first."
            )
        plain = changed == Mark(campaign)
        kept = [*others] if plain else [*others, changed]
        return msgspec.structs.replace(marks, marks=tuple(sorted(kept, key=lambda one: one.campaign)))

    shown = detail if str(campaign) in detail.split() else f"{campaign}: {detail}"
    _change(vault, put, operator, action, shown)
    return changed


def _change(vault: Vault, change: Callable[[Marks], Marks], operator: str, action: str, detail: str) -> None:
    with vault.write():
        marks, version = read_marks(vault)
        changed = change(marks)
        if changed != marks:
            configuration.write(vault, NAME, changed, expected=version, operator=operator, action=action, detail=detail)
