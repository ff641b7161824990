"""Reads the Campaigns page in a worker thread: its rows, and what is known of the senders."""

from __future__ import annotations

import time
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, NamedTuple

from store.campaigns.standing import Campaign, Standing
from store.catalogue.summaries import senders, summaries, summary
from store.terms.errors import TamperedError, UnlockError
from tui.console.text.campaign_rows import CampaignRow, DividerRow, ListRow, SenderRow, in_order
from tui.terminal.words import copies, counted

if TYPE_CHECKING:
    from store.catalogue.catalogue import Catalogue
    from store.catalogue.frame import Frame
    from store.catalogue.summary import Sender, Summary
    from store.terms.findings import KnownSender
    from store.vault.vault import Vault

#: Most senders listed; most senders for which it is looked up whether they are known.
SENDERS, LOOKED_UP = 1_000, 10_000
#: Milliseconds after which senders are looked up again, and after which figures of the last hour are computed again.
_STALE, _MINUTE = 300_000, 60_000
#: The pause after a read is at least this many times the read's duration.
_REST = 10


class CampaignsRead(NamedTuple):
    """The page's rows, the number of campaigns for which an act is offered, and the
    standing that the rows are made from.

    `rough`: the senders were not looked up yet. `partial`: not all copies are loaded yet, so rows and
    numbers are not final.
    """

    standing: Standing
    rows: list[ListRow]
    campaigns: int
    rough: bool = False
    partial: bool = False


def offered_count(catalogue: Catalogue, standing: Standing) -> int:
    """Count the campaigns for which an act is offered and that have copies in Backup."""
    frame = catalogue.frame
    if frame is None:
        return 0
    return sum(one.rank.offered and _any_there(frame, one) for one in standing.campaigns)


def _any_there(frame: Frame, campaign: Campaign) -> bool:
    copies = campaign.copies
    if len(copies) and (frame.position(copies[-1]) is not None or len(frame.rows_of(copies))):
        return True
    return bool(len(frame.rows_of(each.copy for each in campaign.odd)))


class CampaignsReader:
    """Reads for one page, in one thread at a time, and caches."""

    def __init__(self, vault: Vault, catalogue: Catalogue) -> None:
        self._vault = vault
        self._catalogue = catalogue
        self._state: tuple[object, ...] = ()
        self._last: CampaignsRead | None = None
        self._found: list[Sender] = []
        self._facts = _SenderFacts(vault)
        self._rest_until = 0.0

    def read(self, now: int) -> CampaignsRead:
        """Return the rows at `now` (Unix ms).

        Returns the same object if nothing changed or the last read was too recent. Senders have only the facts looked
        up before. Raises StoreUnavailable.
        """
        catalogue, standing = self._catalogue, self._catalogue.standing
        partial = not catalogue.complete
        frame, began = catalogue.frame, time.monotonic()
        state = (standing, frame, partial, now // _MINUTE)
        last = self._last
        resting = (
            began < self._rest_until
            and last is not None
            and standing.campaigns is last.standing.campaigns
            and partial == last.partial
        )
        if last is not None and (state == self._state or resting):
            return last
        rows: list[ListRow] = list(in_order(standing.campaigns, self._summaries(standing)))
        left = senders(catalogue, standing)
        self._found = left.rows(0, LOOKED_UP)
        divider = [DividerRow(left.copies, left.count)] if left.count else []
        self._state = state
        listed = [*rows, *divider, *self._facts.rows(self._found)]
        self._last = CampaignsRead(standing, listed, len(rows), rough=True, partial=partial)
        self._rest_until = time.monotonic() + _REST * (time.monotonic() - began)
        return self._last

    def complete(self, now: int) -> CampaignsRead | None:
        """Return the last rows after looking up their senders, which may take seconds the first time.

        Raises StoreUnavailable.
        """
        last = self._last
        if last is None or not last.rough:
            return last
        self._facts.look_up(self._found, now)
        above = [row for row in last.rows if not isinstance(row, SenderRow)]
        self._last = last._replace(rows=[*above, *self._facts.rows(self._found)], rough=False)
        return self._last

    def _summaries(self, standing: Standing) -> dict[int, Summary]:
        found = summaries(self._catalogue, standing)
        for one in standing.campaigns:
            # If all copies are odd, recipients and the other figures come from those.
            if not found[one.id].copies and found[one.id].odd:
                odd = summary(self._catalogue, [each.copy for each in one.odd])
                found[one.id] = odd._replace(copies=0, odd=odd.copies)
        return found


class _SenderFacts:
    """Cache of the facts about senders looked up so far."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._known: dict[str, KnownSender | None] = {}
        self._known_at = 0
        #: By the id of a sender's newest copy: whether that came through a mailing list, and the domain
        #: that the sender's resembles.
        self._listed: dict[int, bool] = {}
        self._alike: dict[int, str] = {}

    def rows(self, found: Sequence[Sender]) -> list[SenderRow]:
        """Make rows of the senders: known ones first, then those that resemble a known
        one, then by number of copies.
        """
        rows = []
        for place, sender in enumerate(found):
            known = self._known.get(sender.address)
            rows.append(
                SenderRow(
                    sender,
                    place,
                    written_to=known.written_to if known else 0,
                    let_through=known.address if known else 0,
                    alike=self._alike.get(sender.newest, ""),
                    listed=self._listed.get(sender.newest, False),
                )
            )
        rows.sort(key=lambda row: (not row.known, -row.written_to, not row.alike, row.position))
        return rows[:SENDERS]

    def look_up(self, found: Sequence[Sender], now: int) -> None:
        """Look up what is not cached: for all senders whether they are known, for the listed ones also the rest."""
        from store.campaigns.flags import alike_of
        from store.campaigns.indexing import read_traits
        from store.judging.known_by_address import known_by_address

        if now - self._known_at > _STALE:
            self._known.clear()
            self._known_at = now
        wanted = [sender.address for sender in found if sender.address not in self._known]
        known = known_by_address(self._vault, wanted, now=now)
        self._known.update((address, known.get(address)) for address in wanted)
        newest = [row.sender.newest for row in self.rows(found)]
        if len(self._listed) > LOOKED_UP:
            self._listed.clear()
            self._alike.clear()
        lacking = [copy for copy in newest if copy not in self._listed]
        try:
            traits = read_traits(self._vault, lacking, on_error=lambda *_: None)
            self._alike.update(alike_of(self._vault, lacking))
        except (TamperedError, UnlockError):
            return  # show nothing about mailing lists; the next poll of the store reports the error
        self._listed.update((copy, copy in traits and traits[copy].traits.listed) for copy in lacking)


def marked_words(rows: Sequence[ListRow], marked: Container[int]) -> str:
    """Write ``● 15 marked, 3,448 copies``; the copies are those that fit."""
    fitting = [row.summary.copies for row in rows if isinstance(row, CampaignRow) and row.campaign.id in marked]
    return f"● {len(fitting):,} marked, {copies(sum(fitting))}"


def summary_words(read: CampaignsRead) -> str:
    """Write ``34 campaigns, 38,204 copies · 155 in no campaign · 20 not searched yet``.

    While copies are still loaded, write ``Reading: 12 campaigns, 9,310 copies so far``.
    """
    standing = read.standing
    if read.partial:
        there = [row.summary.copies for row in read.rows if isinstance(row, CampaignRow)]
        found = f": {counted(len(there), 'campaign', 'campaigns')}, {copies(sum(there))} so far" if there else "…"
        return f"Reading{found}"
    if not standing.number:
        return "Campaigns have not been searched for yet."
    inside = sum(row.summary.copies for row in read.rows if isinstance(row, CampaignRow))
    parts = [
        f"{counted(read.campaigns, 'campaign', 'campaigns')}, {copies(inside)}" if read.campaigns else "No campaigns"
    ]
    parts += [f"{row.copies:,} in no campaign" for row in read.rows if isinstance(row, DividerRow)]
    parts += [f"{standing.waiting:,} not searched yet"] if standing.waiting else []
    return " · ".join(parts)
