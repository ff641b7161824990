"""An open campaign: why its copies belong together, and all its copies, the odd ones first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Rule, Static

from store.campaigns.standing import Campaign
from store.catalogue.summaries import Summary, summary
from tui.console.acts import actions, campaigning
from tui.console.campaign_facts import facts_of
from tui.console.context import ConsoleContext
from tui.console.keys.keymap import Scope, bindings
from tui.console.screens.page import Page
from tui.console.tasks import explain
from tui.console.text import campaign_copies as made
from tui.console.text.campaign_copies import CopyLines, CopyOrder
from tui.console.text.campaign_detail import CampaignFacts, campaign_lines
from tui.console.text.campaign_rows import CampaignRow, elders
from tui.console.widgets.copy_list import CopyList
from tui.console.widgets.key_footer import KeysChanged
from tui.console.widgets.line_view import LineView
from tui.console.widgets.marking_list import MarkingList
from tui.console.widgets.pages import Pages
from tui.console.widgets.pick_list import PickList

if TYPE_CHECKING:
    from store.catalogue.catalogue import Catalogue

GONE = "No copies of this campaign are in Backup any more."
READING = "The campaign is still being read."
#: Rows fetched in advance above and below the cursor.
_AROUND = 100


class _Read(NamedTuple):
    """The campaign, its copies in Backup in display order, and their rows.

    `of` changes whenever they must be read again.
    """

    of: tuple[object, ...]
    row: CampaignRow
    order: CopyOrder
    pages: Pages


class CampaignView(Page):
    """The campaign's figures above its copies. Updates keep cursor and marks on their copies.

    The cursor starts on the copy `copy_id`, without one on the first line.
    """

    DEFAULT_CSS = """
    CampaignView {
        & > #head { height: 1; }
        & > #head.-problem { height: auto; max-height: 4; color: $error; }
        & > #figures { height: 45%; min-height: 4; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.CAMPAIGN, but={"mark"})
    scope = Scope.CAMPAIGN

    def __init__(self, context: ConsoleContext, campaign_id: int, copy_id: int | None = None) -> None:
        super().__init__(context)
        self.campaign_id = campaign_id
        self.marked: set[int] = set()
        self.head = Static("", id="head", markup=False)
        self.figures = LineView(id="figures")
        self.list = CopyList(context.seen_odd.add, id="copies")
        self._wanted = copy_id
        self._read: _Read | None = None
        #: Why nothing is shown if `_read` is None.
        self._lacking = READING
        self._unread = True
        self._facts: CampaignFacts | None = None
        self._pool = ThreadPoolExecutor(1, "campaign rows")

    def compose(self) -> ComposeResult:
        yield self.head
        yield Rule(line_style="solid")
        yield self.figures
        yield Rule(line_style="solid")
        yield self.list

    def focus_main(self) -> None:
        """Give the copies the focus."""
        self.screen.set_focus(self.list)

    def on_unmount(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def campaign(self) -> Campaign | None:
        """The campaign as last read."""
        return self._read.row.campaign if self._read else None

    def shows(self, campaign_id: int) -> bool:
        """Return True if this page shows that campaign, also if it was joined into the one shown."""
        one = self.context.catalogue.standing.campaign(campaign_id)
        return campaign_id == self.campaign_id or (one is not None and one is self.campaign)

    def follow_store(self) -> None:
        catalogue, number = self.context.catalogue, self.campaign_id
        before = self._read
        wanted = self._wanted if before is None else self.current

        def read() -> _Read | str:
            complete, standing, frame = catalogue.complete, catalogue.standing, catalogue.frame
            one = standing.campaign(number)
            if one is None or frame is None:
                return GONE if complete else READING
            if before is not None and before.of == (standing.campaigns, frame):
                return before
            from store.catalogue.listed import ListedSelection

            whole = made.order_of(one)
            selection = ListedSelection(frame, whole.ids)
            order = made.among(whole, selection.among(whole.ids))
            if not order.ids:
                return GONE if complete else READING
            pages = Pages(selection, self._pool, self._arrived)
            place = selection.position(wanted) if wanted is not None else None
            pages.load((place or 0) - _AROUND, (place or 0) + _AROUND)
            row = CampaignRow(one, _summary(catalogue, one, order), *elders(standing.campaigns).get(one.id, (0, "")))
            return _Read((standing.campaigns, frame), row, order, pages)

        self.context.shell.background(read, self._show, on_error=self._failed, group="campaign")

    @property
    def reading(self) -> bool:
        return self._unread

    def _show(self, read: _Read | str) -> None:
        self._unread = False
        if not self.is_attached or read is self._read:
            return
        if isinstance(read, str):
            self._lacking = read
            self.head.remove_class("-problem")
            self.head.update(read)
            self._read = None
            self.figures.build(None)
            self.list.build(None)
            self.post_message(KeysChanged())
            return
        wanted, before = (self.current if self._read else self._wanted), self._read
        self._read = read
        self.head.remove_class("-problem")
        self.marked = {copy for copy in self.marked if read.pages.result.position(copy) is not None}
        self._find_facts()
        self._draw()
        place = read.pages.result.position(wanted) if wanted is not None else None
        if place is not None:
            self.list.cursor = read.order.line_of(place)
            if before is None:
                self.call_after_refresh(self.list.to_cursor)
        self.post_message(KeysChanged())

    def _failed(self, error: Exception) -> None:
        self._unread = False
        if self.is_attached:
            self._lacking = explain(error)
            self.head.add_class("-problem")
            self.head.update(f"▲ {self._lacking}")

    def _arrived(self, pages: Pages) -> None:
        try:
            self.app.call_later(self._repaint, pages)
        except RuntimeError:  # the console is closing
            pass

    def _repaint(self, pages: Pages) -> None:
        if self._read is not None and pages is self._read.pages:
            self.list.refresh()

    def _find_facts(self) -> None:
        context, campaign, now = self.context, self.campaign, self.context.clock()
        assert campaign is not None

        def show(found: CampaignFacts) -> None:
            self._facts = found
            if self.is_attached:
                self._draw_figures()

        context.shell.background(
            lambda: facts_of(context.vault, context.catalogue, campaign, context.outcomes, now),
            show,
            group="campaign-page-facts",  # The list behind this page asks in a group of its own.
        )

    def _draw(self) -> None:
        self._draw_figures()
        self._draw_list()

    def _draw_figures(self) -> None:
        if (read := self._read) is not None:
            row, facts, now, zone = read.row, self._facts, self.context.clock(), self.context.tz
            self.figures.build(lambda width: campaign_lines(row, facts, now, zone, width))

    def _draw_list(self) -> None:
        if (read := self._read) is not None:
            marked, now, zone = frozenset(self.marked), self.context.clock(), self.context.tz
            self.list.build(lambda width: CopyLines(read.order, read.pages.row, marked, now, zone, width))
            self.head.update(made.head_words(read.order, len(self.marked)))

    def on_pick_list_moved(self, event: PickList.Moved) -> None:
        event.stop()
        if self._read is not None:
            self._read.pages.expect(event.index - _AROUND, event.index + _AROUND)

    def on_pick_list_picked(self, event: PickList.Picked) -> None:
        event.stop()
        self.action_view()

    def on_marking_list_marked(self, event: MarkingList.Marked) -> None:
        event.stop()
        copy = self._read.order.copy_at(event.index) if self._read else None
        if copy is not None:
            self.marked ^= {copy}
            self._draw_list()

    @property
    def current(self) -> int | None:
        """The id of the copy at the cursor, None if there is none."""
        return self._read.order.copy_at(self.list.cursor) if self._read else None

    def neighbour(self, copy_id: int, step: int) -> int | None:
        """Move the cursor to the copy `step` lines after `copy_id` in this list; return its id, or None at the end."""
        if (read := self._read) is None:
            return None
        place = read.pages.result.position(copy_id)
        if place is None or not 0 <= place + step < len(read.order.ids):
            return None
        self.list.cursor = read.order.line_of(place + step)
        return read.order.ids[place + step]

    def _chosen(self) -> list[int]:
        """Return the ids of the marked copies, or of the one at the cursor."""
        if self.marked:
            return sorted(self.marked)
        return [] if self.current is None else [self.current]

    def reason_against(self, action: str) -> str | None:
        """Return why an action is not possible now, or None."""
        if action == "campaign-back":
            return None
        if (reason := actions.reason_against(self.context, action)) is not None:
            return reason
        if self._read is None:
            return self._lacking
        if action == "campaign-peel-odd":
            return None if self._read.order.odd else "This campaign has no odd copies."
        if action in ("campaign-view", "campaign-compare", "campaign-peel", "campaign-deliver"):
            return None if self._chosen() or self.current else "No copy is selected."
        if action == "campaign-delete" and not self._read.row.campaign.rank.offered:
            return "This campaign may contain good mail, so it cannot be deleted as a whole. Enter shows single copies."
        if action == "campaign-join":
            row = self._read.row
            return None if row.elder or row.campaign.parts else "This campaign has no older related campaign."
        return None

    def action_view(self) -> None:
        """View the copy at the cursor; next and previous follow this list."""
        if not self.refused("campaign-view") and (copy := self.current) is not None:
            self.context.shell.open_copy(copy, self.neighbour)

    def action_mark(self) -> None:
        """Mark the copy at the cursor. The list handles the key; this is for footer and palette."""
        self.list.action_mark()

    def action_unmark_all(self) -> None:
        """Clear all marks."""
        self.marked.clear()
        self._draw_list()

    def action_compare(self) -> None:
        """Show the copy at the cursor beside a typical one."""
        if not self.refused("campaign-compare") and (copy := self.current) is not None and self.campaign is not None:
            self.context.shell.open_compare(self.campaign.id, copy, self.neighbour)

    def action_peel(self) -> None:
        """Ask, then peel the marked copies (or the one at the cursor) off the campaign."""
        if not self.refused("campaign-peel") and self.campaign is not None:
            campaigning.peel_off(self.context, self.campaign, self._chosen())

    def action_peel_odd(self) -> None:
        """Ask, then peel the odd copies off the campaign."""
        if not self.refused("campaign-peel-odd") and (read := self._read) is not None:
            campaigning.peel_off(self.context, read.row.campaign, read.order.ids[: read.order.odd], odd=True)

    def action_join(self) -> None:
        """Ask, then join the campaign to its elder, or separate the campaign that was joined to it last."""
        if not self.refused("campaign-join") and self._read is not None:
            campaigning.join_or_part(self.context, self._read.row)

    def action_own(self) -> None:
        """Ask, then become the campaign's owner, or give it back."""
        self._of_campaign("campaign-own", campaigning.own)

    def action_state(self) -> None:
        """Ask, then set the campaign's next state."""
        self._of_campaign("campaign-state", campaigning.next_state)

    def action_name(self) -> None:
        """Ask for a name and set it."""
        self._of_campaign("campaign-name", campaigning.rename)

    def action_note(self) -> None:
        """Ask for a note and set it."""
        self._of_campaign("campaign-note", campaigning.write_note)

    def _of_campaign(self, action: str, act: campaigning.Act) -> None:
        if not self.refused(action) and self.campaign is not None:
            act(self.context, self.campaign)

    def action_deliver(self) -> None:
        """Ask to whom to deliver the marked copies or the one at the cursor."""
        if not self.refused("campaign-deliver"):
            actions.deliver(self.context, self._chosen())

    def action_delete(self) -> None:
        """Check and ask, then delete the copies that fit the campaign. Its odd copies must have been shown before."""
        if not self.refused("campaign-delete") and self.campaign is not None:
            campaigning.delete(self.context, [self.campaign])

    def show_copy(self, copy_id: int) -> None:
        """Move the cursor to a copy."""
        if (read := self._read) is None:
            return
        place = read.pages.result.position(copy_id)
        if place is not None:
            self.list.cursor = read.order.line_of(place)

    def action_detail(self, direction: int) -> None:
        """Scroll the figures."""
        self.figures.action_half_page(direction)

    def action_back(self) -> None:
        """Go back to the page from which the campaign was opened."""
        self.context.shell.close_page()


def _summary(catalogue: Catalogue, campaign: Campaign, order: CopyOrder) -> Summary:
    """Summarise the fitting copies, or the odd ones if there are no others."""
    if len(order.ids) == order.odd:
        return summary(catalogue, order.ids)._replace(copies=0, odd=order.odd)
    return summary(catalogue, campaign.copies)._replace(odd=order.odd)
