"""What the Campaigns page reads in a worker thread: its rows, and what is known of the senders in them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from store.campaigns.indexing import read_traits
from store.campaigns.standing import Campaign, Standing
from store.catalogue.summaries import senders, summaries, summary
from store.judging.looking_up import known_by_address
from store.terms.errors import MailholdError
from tui.console.text.campaign_rows import CampaignRow, DividerRow, ListRow, SenderRow, in_order
from tui.terminal.words import copies, counted

if TYPE_CHECKING:
    from store.catalogue.catalogue import Catalogue
    from store.catalogue.frame import Frame
    from store.catalogue.summary import Sender
    from store.terms.findings import KnownSender
    from store.vault.vault import Vault

#: Senders of what is in no campaign that are listed, and of which it is looked up whether they are known.
SENDERS, LOOKED_UP = 1_000, 10_000
#: What is known of senders is asked anew after so long (ms), and figures of the last hour are reckoned anew.
_STALE, _MINUTE = 300_000, 60_000
#: A look is this many times as long ago as it took (s), at least, before the next one.
_REST = 10


class CampaignsRead(NamedTuple):
    """The rows of the page, and how many campaigns there are to act on; the standing that they are of."""

    standing: Standing
    rows: list[ListRow]
    campaigns: int
    problem: str = ""


def offered_count(catalogue: Catalogue, standing: Standing) -> int:
    """How many campaigns an act is offered for, of those that have copies in Backup."""
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
    """Reads for one page, in one thread at a time; keeps what need not be found anew."""

    def __init__(self, vault: Vault, catalogue: Catalogue) -> None:
        self._vault = vault
        self._catalogue = catalogue
        self._state: tuple[object, ...] = ()
        self._last: CampaignsRead | None = None
        self._last_of: Sequence[Campaign] = ()
        self._known: dict[str, KnownSender | None] = {}
        self._known_at = 0
        self._listed: dict[int, bool] = {}
        self._rest_until = 0.0

    def read(self, now: int) -> CampaignsRead:
        """The rows at `now` (Unix ms); the same object where they are as before, or the last look was just now.

        Raises StoreUnavailable.
        """
        catalogue, standing = self._catalogue, self._catalogue.standing
        frame, began = catalogue.frame, time.monotonic()
        state = (standing, frame, now // _MINUTE)
        resting = began < self._rest_until and standing.campaigns is self._last_of
        if self._last is None or not (state == self._state or resting):
            rows = self._rows(standing, now)
            self._last = CampaignsRead(standing, rows, sum(isinstance(row, CampaignRow) for row in rows))
            self._state, self._last_of = state, standing.campaigns
            self._rest_until = time.monotonic() + _REST * (time.monotonic() - began)
        return self._last

    def _rows(self, standing: Standing, now: int) -> list[ListRow]:
        found = summaries(self._catalogue, standing)
        for one in standing.campaigns:
            if (
                not found[one.id].copies and found[one.id].odd
            ):  # All of them are odd: they have recipients all the same.
                odd = summary(self._catalogue, [each.copy for each in one.odd])
                found[one.id] = odd._replace(copies=0, odd=odd.copies)
        rows: list[ListRow] = list(in_order(standing.campaigns, found))
        left = senders(self._catalogue, standing)
        if left.count:
            rows.append(DividerRow(left.copies, left.count))
            rows += self._senders(left.rows(0, LOOKED_UP), now)
        return rows

    def _senders(self, found: list[Sender], now: int) -> list[SenderRow]:
        """The senders, those first of which something is known."""
        if now - self._known_at > _STALE:
            self._known.clear()
            self._known_at = now
        self._look_up([sender.address for sender in found], now)
        rows = [
            SenderRow(
                sender,
                place,
                written_to=known.written_to if (known := self._known.get(sender.address)) else 0,
                let_through=known.address if known else 0,
            )
            for place, sender in enumerate(found)
        ]
        rows.sort(key=lambda row: (not row.known, -row.written_to, row.position))
        rows = rows[:SENDERS]
        self._look_for_lists([row.sender.newest for row in rows])
        return [row._replace(listed=self._listed.get(row.sender.newest, False)) for row in rows]

    def _look_up(self, addresses: Iterable[str], now: int) -> None:
        wanted = [address for address in dict.fromkeys(addresses) if address not in self._known]
        found = known_by_address(self._vault, wanted, now=now)
        self._known.update((address, found.get(address)) for address in wanted)

    def _look_for_lists(self, ids: Collection[int]) -> None:
        wanted = [copy_id for copy_id in ids if copy_id not in self._listed]
        try:
            found = read_traits(self._vault, wanted, on_error=lambda *_: None)
        except MailholdError:
            return  # Without them nothing is said of lists; who reads the store next says what is wrong.
        if len(self._listed) > LOOKED_UP:
            self._listed.clear()
        self._listed.update((copy_id, made.traits.listed) for copy_id, made in found.items())


def summary_words(read: CampaignsRead) -> str:
    """``34 campaigns, 38,204 copies · 155 in no campaign · 20 not looked at yet``."""
    standing = read.standing
    if not standing.number:
        return "Campaigns were not looked for yet."
    inside = sum(row.summary.copies for row in read.rows if isinstance(row, CampaignRow))
    parts = [
        f"{counted(read.campaigns, 'campaign', 'campaigns')}, {copies(inside)}" if read.campaigns else "No campaign"
    ]
    parts += [f"{row.copies:,} in no campaign" for row in read.rows if isinstance(row, DividerRow)]
    parts += [f"{standing.waiting:,} not looked at yet"] if standing.waiting else []
    return " · ".join(parts)
