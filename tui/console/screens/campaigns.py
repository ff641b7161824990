"""The Campaigns page: campaigns with an action in their order, and below a divider the senders of all other copies."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from textual.binding import BindingType
from textual.timer import Timer

from store.campaigns.marks import State
from store.campaigns.standing import Campaign
from tui.console.acts import actions, campaigning, senders
from tui.console.campaign_facts import facts_of
from tui.console.campaign_reading import CampaignsRead, CampaignsReader, marked_words, summary_words
from tui.console.context import ConsoleContext
from tui.console.keys.keymap import Scope, bindings
from tui.console.screens.list_page import ListPage
from tui.console.text import campaign_detail as detail
from tui.console.text import campaign_lines as made
from tui.console.text.campaign_detail import CampaignFacts
from tui.console.text.campaign_rows import CampaignRow, DividerRow, ListRow, SenderRow
from tui.console.widgets.key_footer import KeysChanged
from tui.console.widgets.line_view import Builder
from tui.console.widgets.marking_list import MarkingList
from tui.console.widgets.pick_list import PickList

#: Campaigns whose facts are cached; seconds between refreshes of rates and times; seconds on a
#: campaign before its facts are read.
_KEPT, _TICK, _PAUSE = 100, 2.0, 0.15
#: Actions that need a campaign at the cursor.
_OF_CURSOR = frozenset(f"campaigns-{name}" for name in ("delete", "peel-odd", "join", "own", "state", "name", "note"))
NO_CAMPAIGN = "No campaign is selected."
BY_SENDER = "Campaigns cannot be released as a whole. Open one with Enter, and release copies there."


class CampaignList(MarkingList):
    """The lines of the page."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.CAMPAIGNS, only={"mark"})


class CampaignsView(ListPage[ListRow]):
    """The campaigns above figures on the one at the cursor. Kept up to date with the store."""

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
        self._looking: Timer | None = None
        self._drawing = False

    def on_mount(self) -> None:
        self.set_interval(_TICK, self._tick)

    def _tick(self) -> None:
        if self.display:
            self.follow_store()

    def follow_store(self) -> None:
        reader, now = self._reader, self.context.clock()
        self.read(lambda: reader.read(now), self._show, group="campaigns")

    def _show(self, read: CampaignsRead | None) -> None:
        if not self.is_attached or read is None or read is self._shown:
            return
        # A campaign that was cleared loses its mark, though odd copies keep it in the list.
        cleared = _with_copies(self._shown) - _with_copies(read)
        self._shown, self._number = read, read.standing.number
        self.marked = (self.marked - cleared) & {row.campaign.id for row in read.rows if isinstance(row, CampaignRow)}
        self.show_items(read.rows, self._head(read))
        if read.rough:
            reader, now = self._reader, self.context.clock()
            self.read(lambda: reader.complete(now), self._show, group="campaigns")

    def _head(self, read: CampaignsRead) -> str:
        """Write the numbers above the list, with those of the marked campaigns first."""
        said = summary_words(read)
        return f"{marked_words(read.rows, self.marked)} · {said}" if self.marked else said

    def _show_marks(self) -> None:
        self.list.build(self.list_builder())
        if self._shown is not None:
            self.set_head(self._head(self._shown))

    def key_of(self, item: ListRow) -> Hashable:
        if isinstance(item, CampaignRow):
            return item.campaign.id
        return item.sender.address if isinstance(item, SenderRow) else ""

    def headings(self, width: int) -> str:
        return made.heading(width)

    def list_builder(self) -> Builder:
        rows, marked, now, zone = self.items, frozenset(self.marked), self.context.clock(), self.context.tz
        return lambda width: made.ListLines(rows, marked, now, zone, width)

    def detail_builder(self, item: ListRow) -> Builder:
        zone, now = self.context.tz, self.context.clock()
        if isinstance(item, DividerRow):
            return lambda width: detail.divider_lines(item, width)
        if isinstance(item, SenderRow):
            return lambda width: detail.sender_lines(item, zone, width)
        facts = self._facts_of(item.campaign)
        return lambda width: detail.overview_lines(item, facts, now, zone, width)

    def _facts_of(self, campaign: Campaign) -> CampaignFacts | None:
        """Return the facts about a campaign; None until they are read."""
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

        def look() -> None:
            context.shell.background(
                lambda: facts_of(context.vault, context.catalogue, campaign, context.outcomes, now),
                show,
                group="campaign-facts",
            )

        # Wait, so that facts are not read for each campaign that the cursor passes.
        if self._looking is not None:
            self._looking.stop()
        self._looking = self.set_timer(_PAUSE, look)
        return None

    def on_pick_list_moved(self, event: PickList.Moved) -> None:
        # Paint the cursor first, then the figures, once per burst of keys.
        event.stop()
        event.prevent_default()
        if not self._drawing:
            self._drawing = True
            self.call_after_refresh(self._draw_moved)

    def _draw_moved(self) -> None:
        self._drawing = False
        if self.is_attached:
            self._draw_detail()
            self.detail.to_top()

    def on_marking_list_marked(self, event: MarkingList.Marked) -> None:
        event.stop()
        row = self.items[event.index] if event.index < len(self.items) else None
        if isinstance(row, CampaignRow):
            self.marked ^= {row.campaign.id}
            self._show_marks()

    def picked(self) -> None:
        self.action_open_row()

    def reason_against(self, action: str) -> str | None:
        """Return why an action is not possible now, or None."""
        if (reason := actions.reason_against(self.context, action)) is not None:
            return reason
        if action == "campaigns-open":
            return None if self.items else "No campaign is selected."
        if action == "campaigns-unmark":
            return None if self.marked else "Nothing is marked."
        if action in ("campaigns-delete", "campaigns-join") and self.marked:
            return None
        row = self.current
        if action in _OF_CURSOR and not isinstance(row, CampaignRow):
            return NO_CAMPAIGN
        if action == "campaigns-peel-odd" and isinstance(row, CampaignRow) and not row.campaign.odd:
            return "This campaign has no odd copies."
        if action == "campaigns-join" and isinstance(row, CampaignRow) and not (row.elder or row.campaign.parts):
            return "This campaign has no older related campaign. Mark the campaigns to join."
        return None

    def action_open_row(self) -> None:
        """Open the campaign at the cursor; on a sender, list its copies that fit no campaign with an act."""
        row, context = self.current, self.context
        if isinstance(row, SenderRow) and (address := row.sender.address):
            catalogue, standing = context.catalogue, context.catalogue.standing
            context.shell.background(
                lambda: senders.left_filter(catalogue, standing, address),
                context.shell.list_messages,
                group="sender's copies",
            )
        elif isinstance(row, CampaignRow):
            self.context.shell.open_campaign(row.campaign.id)

    def action_mark(self) -> None:
        """Mark the campaign at the cursor. The list handles the key; this is for footer and palette."""
        self.list.action_mark()

    def action_mark_sure(self) -> None:
        """Mark exactly the sure campaigns: not in stolen threads, not done, no
        colleague's, every odd copy shown before.
        """
        self.marked = {row.campaign.id for row in self.items if isinstance(row, CampaignRow) and self._is_sure(row)}
        self._show_marks()
        self.post_message(KeysChanged())
        if not self.marked:
            self.context.shell.notice(
                "No campaign is sure: each has odd copies that you have not viewed, or another owner."
            )

    def _is_sure(self, row: CampaignRow) -> bool:
        one, seen = row.campaign, self.context.seen_odd
        theirs = one.mark.owner not in ("", self.context.operator)
        if not one.rank.sure or theirs or one.mark.state is State.DONE or not row.summary.copies:
            return False
        return not row.summary.odd or all(each.copy in seen for each in one.odd)

    def action_unmark_all(self) -> None:
        """Clear all marks."""
        if not self.refused("campaigns-unmark"):
            self.marked.clear()
            self._show_marks()
            self.post_message(KeysChanged())

    def _chosen(self) -> list[Campaign]:
        """Return the marked campaigns, or the one at the cursor."""
        found = [row.campaign for row in self.items if isinstance(row, CampaignRow)]
        if self.marked:
            return [one for one in found if one.id in self.marked]
        return [self.current.campaign] if isinstance(self.current, CampaignRow) else []

    def action_delete(self) -> None:
        """Check and ask, then delete the copies that fit the marked campaigns or the one at the cursor."""
        if not self.refused("campaigns-delete"):
            campaigning.delete(self.context, self._chosen())

    def action_peel_odd(self) -> None:
        """Ask, then peel the odd copies off the campaign at the cursor."""
        if not self.refused("campaigns-peel-odd") and isinstance(row := self.current, CampaignRow):
            campaigning.peel_off(self.context, row.campaign, [each.copy for each in row.campaign.odd], odd=True)

    def action_join(self) -> None:
        """Ask, then join the marked campaigns to the oldest of them, or the one at the cursor to its elder."""
        if self.refused("campaigns-join"):
            return
        if len(self.marked) > 1:
            eldest, *others = sorted(self._chosen(), key=lambda one: one.id)
            campaigning.join(self.context, others, eldest)
        elif isinstance(row := self.current, CampaignRow):
            campaigning.join_or_part(self.context, row)

    def action_own(self) -> None:
        """Ask, then become the owner of the campaign at the cursor, or give it back."""
        self._of_campaign("campaigns-own", campaigning.own)

    def action_state(self) -> None:
        """Ask, then set the next state of the campaign at the cursor."""
        self._of_campaign("campaigns-state", campaigning.next_state)

    def action_name(self) -> None:
        """Ask for a name and set it."""
        self._of_campaign("campaigns-name", campaigning.rename)

    def action_note(self) -> None:
        """Ask for a note and set it."""
        self._of_campaign("campaigns-note", campaigning.write_note)

    def _of_campaign(self, action: str, act: campaigning.Act) -> None:
        if not self.refused(action) and isinstance(row := self.current, CampaignRow):
            act(self.context, row.campaign)

    def action_release(self) -> None:
        """Say why copies are not released from this page."""
        self.context.shell.notice(BY_SENDER)


def _with_copies(read: CampaignsRead | None) -> set[int]:
    """Return the ids of the campaigns of which copies that fit are in Backup."""
    rows = () if read is None else read.rows
    return {row.campaign.id for row in rows if isinstance(row, CampaignRow) and row.summary.copies}
