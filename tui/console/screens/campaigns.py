"""Campaigns: what acts are offered for, in their order, and below a rule what is in none, by sender."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message

from store.campaigns.standing import Campaign
from store.filters.model import MessageFilter, Term
from tui.console.campaign_facts import facts_of
from tui.console.campaign_reading import CampaignsRead, CampaignsReader, summary_words
from tui.console.context import ConsoleContext
from tui.console.keys.keymap import Scope, bindings
from tui.console.screens.list_page import ListPage
from tui.console.text import campaign_detail as detail
from tui.console.text import campaign_lines as made
from tui.console.text.campaign_detail import CampaignFacts
from tui.console.text.campaign_rows import CampaignRow, DividerRow, ListRow, SenderRow
from tui.console.widgets.line_view import Builder
from tui.console.widgets.pick_list import PickList

#: Campaigns of which what was found out is kept, and seconds between looks at rates and times.
_KEPT, _TICK = 100, 2.0
NO_CAMPAIGN = "There is no campaign at the cursor."
BY_SENDER = "Release goes by sender or by copy, never by campaign: open it with Enter, and release from its copies."


class CampaignList(PickList):
    """The lines of the page. A campaign is marked with Space, or by a click on its first cells."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.CAMPAIGNS, only={"mark"})

    class Marked(Message):
        """The line is to be marked, or its mark taken away."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def action_mark(self) -> None:
        self.post_message(self.Marked(self.cursor))
        self.action_scroll_down()

    def on_click(self, event: events.Click) -> None:
        super().on_click(event)
        if event.x <= 1 and event.y + round(self.scroll_y) < len(self.lines):
            self.post_message(self.Marked(self.cursor))


class CampaignsView(ListPage[ListRow]):
    """The campaigns, above the one at the cursor in figures. Live: it follows the store."""

    DEFAULT_CSS = """
    CampaignsView > #detail { height: 45%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.CAMPAIGNS, but={"mark"})
    scope = Scope.CAMPAIGNS
    title = "Campaigns"
    has_columns = True

    def __init__(self, context: ConsoleContext) -> None:
        super().__init__(context)
        self.list: CampaignList = CampaignList(id="list")
        self.marked: set[int] = set()
        self._reader = CampaignsReader(context.vault, context.catalogue)
        self._facts: dict[tuple[int, int], CampaignFacts] = {}
        self._shown: CampaignsRead | None = None
        self._number = 0

    def on_mount(self) -> None:
        self.set_interval(_TICK, self._tick)

    def _tick(self) -> None:
        if self.display:
            self.follow_store()

    def follow_store(self) -> None:
        reader, now = self._reader, self.context.clock()
        self.read(lambda: reader.read(now), self._show, group="campaigns")

    def _show(self, read: CampaignsRead) -> None:
        if not self.is_attached or read is self._shown:
            return
        self._shown, self._number = read, read.standing.number
        self.marked &= {row.campaign.id for row in read.rows if isinstance(row, CampaignRow)}
        self.show_items(read.rows, summary_words(read))

    # -- what is shown

    def key_of(self, item: ListRow) -> Hashable:
        if isinstance(item, CampaignRow):
            return item.campaign.id
        return item.sender.address if isinstance(item, SenderRow) else ""

    def headings(self, width: int) -> str:
        return made.heading(width)

    def list_builder(self) -> Builder:
        rows, marked, now, zone = self.items, frozenset(self.marked), self.context.clock(), self.context.tz
        return lambda width: made.list_lines(rows, marked, now, zone, width)

    def detail_builder(self, item: ListRow) -> Builder:
        zone, now = self.context.tz, self.context.clock()
        if isinstance(item, DividerRow):
            return lambda width: detail.divider_lines(item, width)
        if isinstance(item, SenderRow):
            return lambda width: detail.sender_lines(item, zone, width)
        facts = self._facts_of(item.campaign)
        return lambda width: detail.overview_lines(item, facts, now, zone, width)

    def _facts_of(self, campaign: Campaign) -> CampaignFacts | None:
        """What was found out about a campaign, None until that is done."""
        key = campaign.id, self._number
        if key in self._facts:
            return self._facts[key]
        context, now = self.context, self.context.clock()

        def show(found: CampaignFacts) -> None:
            while len(self._facts) >= _KEPT:
                self._facts.pop(next(iter(self._facts)))
            self._facts[key] = found
            row = self.current
            if self.is_attached and isinstance(row, CampaignRow) and row.campaign.id == campaign.id:
                self._draw_detail()

        context.shell.background(
            lambda: facts_of(context.vault, context.catalogue, campaign, context.outcomes, now),
            show,
            group="campaign-facts",
        )
        return None

    # -- marks

    def on_campaign_list_marked(self, event: CampaignList.Marked) -> None:
        event.stop()
        row = self.items[event.index] if event.index < len(self.items) else None
        if isinstance(row, CampaignRow):
            self.marked ^= {row.campaign.id}
            self.list.build(self.list_builder())

    # -- actions

    def picked(self) -> None:
        self.action_open_row()

    def reason_against(self, action: str) -> str | None:
        """Why an action is not possible now, or None."""
        if action == "campaigns-open":
            return None if self.items else "There is no campaign."
        return None

    def action_open_row(self) -> None:
        """Open the campaign at the cursor, or list the copies of the sender there."""
        row = self.current
        if isinstance(row, SenderRow) and row.sender.address:
            self.context.shell.list_messages(MessageFilter(from_=(Term(row.sender.address),)))

    def action_mark(self) -> None:
        """Mark the campaign at the cursor, for the footer and the palette."""
        self.list.action_mark()

    def action_release(self) -> None:
        """Say why nothing is released from here."""
        self.context.shell.notice(BY_SENDER)
