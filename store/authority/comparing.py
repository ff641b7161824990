"""Compare a store with the signed heads, to find out whether it was restored from a backup or truncated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from store.authority.acceptance import acceptances, accepted_generation
from store.authority.heads import (
    Head,
    configuration_digest,
    counted_deliveries,
    event_digests,
    head_rows,
    last_epochs,
    opening_digest,
    present,
    verified_head,
)
from store.authority.keeper import HeadKeeper
from store.authority.memory import Memory
from store.authority.older import Older, forked, local, older_than
from store.helpers.runs import gaps
from store.sealing.signatures import AUTHORITY
from store.terms.errors import TamperedError
from store.vault.counters import counters

if TYPE_CHECKING:
    from store.vault.vault import Vault

Finding = tuple[str, str]


def stored_heads(vault: Vault) -> tuple[list[Head], list[Finding]]:
    """Read the store's heads. Return those that verify, and the problems of the others."""
    heads, broken = [], []
    with vault.reading():
        rows = head_rows(vault)
    if not any(writer == AUTHORITY for writer, *_ in rows):
        broken.append(("the heads", "the operators' head is missing"))
    for row in rows:
        try:
            heads.append(verified_head(vault, *row))
        except TamperedError as error:
            broken.append((f"the head of writer {row[0]}", error.why))
    return heads, broken


def in_force(vault: Vault, heads: Iterable[Head]) -> list[Head]:
    """List the heads that no acceptance has superseded."""
    generation = accepted_generation(vault)
    return [head for head in heads if head.vector.generation >= generation]


def lacking(vault: Vault, memory: Memory) -> Older | None:
    """Return what the store lacks of what `memory` holds; None if it lacks nothing.

    Writes nothing. Raises StoreUnavailable.
    """
    heads = []
    for each in memory.read().heads:
        with suppress(TamperedError):
            heads.append(verified_head(vault, each.writer, each.vector, each.signature))
    with vault.reading():
        now = present(vault)
    heads = in_force(vault, heads)
    found = (older_than(head.vector, now) for head in heads)
    return next((older for older in found if older is not None), None) or forked(vault, heads)


class Comparison:
    """Compares a store, while all of it is read, with its heads. The fate of every assigned id must be known.

    An id belongs to a copy in Backup or in the bin, to a tombstone, or to the losses that an acceptance names. `buried`
    counts the copies in verified tombstones, `missing_steps` the missing steps that were already reported.
    """

    def __init__(self, vault: Vault) -> None:
        self.buried = 0
        self.missing_steps = 0
        #: What the store is compared with, in words.
        self.evidence = "compared with the heads in it"
        self._vault = vault
        self._heads: list[Head] = []
        self._next_copy = 0
        #: Ids whose fate is known, as runs (first id, length).
        self._ids: list[tuple[int, int]] = []

    def read(self) -> list[Finding]:
        """Read the heads and the next copy id.

        Call it before reading the rest, which can only be newer. Return broken heads.
        """
        found, broken = stored_heads(self._vault)
        seen: list[Head] = []
        if isinstance(keeper := self._vault.witness, HeadKeeper) and keeper.remembered_at:
            seen = keeper.remembered
            self.evidence += f" and with what was seen on this machine at {local(keeper.remembered_at)}"
        else:
            self.evidence += "; this store was not seen on this machine before"
        self._heads = in_force(self._vault, [*found, *seen])
        with suppress(TamperedError), self._vault.reading():  # Missing counters are reported elsewhere.
            self._next_copy = counters(self._vault.db).next_copy_id
        return broken

    def note(self, first: int, length: int) -> None:
        """Record that the fate of `length` ids from `first` on is known."""
        if self._ids and sum(self._ids[-1]) == first:
            self._ids[-1] = (self._ids[-1][0], self._ids[-1][1] + length)
        else:
            self._ids.append((first, length))

    def open_steps(self) -> dict[int, int]:
        """Return the number of steps that each epoch must have served, for the epochs that were open when a head was
        signed.
        """
        steps: dict[int, int] = {}
        for head in self._heads:
            for epoch_id, count in head.vector.open_epochs:
                steps[epoch_id] = max(count, steps.get(epoch_id, 0))
        return steps

    def unknown(self) -> list[tuple[int, int]]:
        """List the assigned ids whose fate is unknown so far, as runs (first id, length)."""
        accepted = [run for each in acceptances(self._vault) for run in each.accepted.gaps]
        return gaps([*self._ids, *accepted], self._next_copy)

    def findings(self) -> Iterator[Finding]:
        """Yield the differences between the store and its heads. Call it after all of the store was read."""
        missing = self.unknown()
        if sum(length for _, length in missing) > self.missing_steps:  # Otherwise these are the steps already reported.
            named = ", ".join(f"{at}-{at + length - 1}" if length > 1 else f"{at}" for at, length in missing[:10])
            more = " and more" if len(missing) > 10 else ""
            yield "ids of copies", f"no copy and no tombstone has them: {named}{more}"
        yield from compare(self._vault, self._heads, self.buried)


def compare(vault: Vault, heads: Sequence[Head], buried: int) -> Iterator[Finding]:
    """Yield the differences between the store and `heads`.

    `buried` is the number of copies in the store's tombstones.
    """
    yield from _reached(vault, heads)
    yield from _events(vault, heads)
    yield from _epochs(vault, heads)
    most = max((head.vector.buried for head in heads), default=0)
    if buried < most:
        yield "tombstones", f"they record {buried:,} deleted copies instead of {most:,}: {most - buried:,} are missing"
    deliveries = max((head.vector.deliveries for head in heads), default=0)
    with vault.reading():
        there = counted_deliveries(vault)
    if there < deliveries:
        yield "deliveries", f"there are {there:,} instead of {deliveries:,}: {deliveries - there:,} are missing"
    yield from _configuration(vault)


def _reached(vault: Vault, heads: Sequence[Head]) -> Iterator[Finding]:
    with vault.reading():
        now = present(vault)
    found = [older for head in heads if (older := older_than(head.vector, now)) is not None and older.lacks]
    if found:
        most = max(found, key=lambda older: [lack.seen - lack.there for lack in older.lacks])
        yield "the store", f"it is older than what was seen of it at {local(most.at)}: {most}"


def _events(vault: Vault, heads: Sequence[Head]) -> Iterator[Finding]:
    wanted: dict[int, set[bytes]] = {}
    for head in heads:
        if head.vector.event:
            wanted.setdefault(head.vector.event, set()).add(head.vector.event_digest)
    newest = 0
    with vault.reading():
        for number, digest in event_digests(vault):
            newest = number
            if wanted.pop(number, {digest}) != {digest}:
                yield (
                    f"event {number}",
                    "another one was seen with this number, so the store was restored and then went on differently "
                    "(forked)",
                )
    for number in sorted(wanted):
        if number < newest:
            yield f"event {number}", "it is missing"


def _epochs(vault: Vault, heads: Sequence[Head]) -> Iterator[Finding]:
    with vault.reading():
        last = last_epochs(vault)
    for head in heads:
        gateway_id, number = head.writer, head.vector.epoch
        what = f"epoch number {number} of gateway {gateway_id}"
        if not number:
            continue
        if last.get(gateway_id, 0) < number:
            yield what, "it is missing, and so are all message copies in it"
        elif opening_digest(vault, gateway_id, number) not in (None, head.vector.opening):
            yield (
                what,
                "another one was seen with this number, so the store was restored and then went on differently "
                "(forked)",
            )


def _configuration(vault: Vault) -> Iterator[Finding]:
    """Check that the newest operator's head names the present configuration. Retries, as a change may be under way."""
    for _ in range(3):
        before, _broken = stored_heads(vault)
        with vault.reading():
            there = configuration_digest(vault)
        named = {head.vector.configuration for head in before if head.writer == AUTHORITY}
        if not named or named == {there}:
            return
    yield "configuration", "it is not the one that the operators' newest head names"
