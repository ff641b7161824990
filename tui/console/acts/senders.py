"""Finds copies of a sender: those that no campaign act applies to, and further ones of senders that were released."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from store.catalogue.beside import besides
from store.catalogue.sort import NEWEST
from store.delivery.twins import senders_alone, twin_filter
from store.filters.model import Group, MessageFilter, Term

if TYPE_CHECKING:
    from store.campaigns.standing import Standing
    from store.catalogue.catalogue import Catalogue
    from tui.console.context import ConsoleContext

#: Most released copies whose senders are used; most copies of these senders that are read.
_RELEASED, _WAITING = 200, 1_000


class Twins(NamedTuple):
    """A filter for further copies of the senders of released copies; the numbers of copies and of senders.

    `more`: only `_WAITING` copies were read, so there may be more.
    """

    filter: MessageFilter
    copies: int
    senders: int
    more: bool = False

    @property
    def words(self) -> str:
        """Write ``+ lists 3 more from this sender``; safe for a terminal."""
        at_least = "at least " if self.more else ""
        whose = "this sender" if self.senders == 1 else "these senders"
        return f"+ lists {at_least}{self.copies:,} more from {whose}"


def twins(context: ConsoleContext, released: Sequence[int]) -> Twins | None:
    """Find further copies of the senders, among the copies loaded in the catalogue; None if there are none.

    Call it in a thread. Raises StoreUnavailable.
    """
    vault, catalogue = context.vault, context.catalogue
    copies = vault.get_many(released[:_RELEASED], on_error=lambda _copy_id, _error: None)
    wanted = twin_filter(copies)
    if wanted is None:
        return None
    selection = catalogue.select(senders_alone(wanted), NEWEST)
    ids = [row.id for row in selection.rows(0, min(selection.count, _WAITING))]
    beside = besides(vault, catalogue.standing, wanted, ids)
    found = vault.get_many(ids, on_error=lambda _copy_id, _error: None)
    now, gone = context.clock(), set(released)
    count = sum(
        copy.id not in gone and wanted.matches(copy, now=now, outcomes={}, beside=beside.get(copy.id)) for copy in found
    )
    senders = len(wanted.groups[0].branches) if not wanted.from_ else 1
    return Twins(wanted, count, senders, selection.count > _WAITING) if count else None


def left_filter(catalogue: Catalogue, standing: Standing, address: str) -> MessageFilter:
    """Make the filter for a sender's copies that the Campaigns page lists below the line.

    It leaves out what fits the campaigns that acts are offered for: a wave may forge a sender's address, and such
    copies must not be released with the good ones. While not all copies are loaded, it leaves out what fits any such
    campaign. Call it in a thread. Raises StoreUnavailable.
    """
    whole = MessageFilter(from_=(Term(address),))
    placed, numbers = standing.placed, set[int]()
    found = catalogue.select(whole, NEWEST)
    for copy_id in found.ids():
        at = bisect_left(placed.copies, copy_id)
        if at < len(placed.copies) and placed.copies[at] == copy_id and not placed.odd[at]:
            numbers.add(placed.campaigns[at])
    offered = tuple(one.id for one in standing.campaigns if one.rank.offered and (found.partial or one.id in numbers))
    if not offered:
        return whole
    fitting = MessageFilter(campaigns=offered, odd=False)
    return MessageFilter(from_=whole.from_, groups=(Group((fitting,), negated=True),))


def waiting_words(found: Twins | None) -> str:
    """Return the end of the release notice: ``. + lists 3 more …``, or "" without further copies."""
    return f". {found.words}" if found is not None else ""
