"""A copy of a campaign beside a typical one: what they have in common, and what not."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Rule, Static

from store.authority.settings import settings_or_former
from store.campaigns.standing import Campaign
from store.terms.errors import CopyMissing
from store.terms.records import Copy
from tui.console.acts import actions, campaigning
from tui.console.context import ConsoleContext, Neighbour
from tui.console.keys.keymap import Scope, bindings
from tui.console.screens.page import Page
from tui.console.tasks import explain
from tui.console.text.campaign_rows import campaign_of
from tui.console.text.compare_lines import Compared, compare_lines, shared_share
from tui.console.widgets.line_view import LineView
from tui.terminal.odd_words import reasons_words

_NO_OTHER = "There is no other copy of the campaign to compare it with."


class CompareView(Page):
    """The copy on the left, the typical one on the right. Both messages are parsed in child processes with limits."""

    DEFAULT_CSS = """
    CompareView > #head { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.COMPARE)
    scope = Scope.COMPARE

    def __init__(self, context: ConsoleContext, campaign_id: int, copy_id: int, neighbour: Neighbour | None) -> None:
        super().__init__(context)
        self.campaign_id = campaign_id
        self.copy_id = copy_id
        self.neighbour = neighbour
        self.head = Static("", id="head", markup=False)
        self.lines = LineView(id="lines")
        self._shown: int | None = None

    def compose(self) -> ComposeResult:
        yield self.head
        yield Rule(line_style="solid")
        yield self.lines

    @property
    def campaign(self) -> Campaign | None:
        """The campaign of the copy."""
        standing = self.context.catalogue.standing
        return standing.campaign(self.campaign_id) or campaign_of(standing, self.copy_id)

    def follow_store(self) -> None:
        if self._shown == self.copy_id:
            return
        self._shown = self.copy_id
        vault, campaign, copy_id = self.context.vault, self.campaign, self.copy_id
        self.head.update(f"Comparing copy {copy_id} with a typical one of its campaign…")

        def read() -> tuple[Compared, Compared] | None:
            if campaign is None or (typical := campaigning.typical_copy(campaign, {copy_id})) is None:
                return None
            own = tuple(domain.lower() for domain in settings_or_former(vault).local_domains)
            copy, other = vault.get(copy_id), vault.get(typical)
            return (
                Compared(copy, self._spelled(copy, own), f"Copy {copy_id}, {_place(campaign, copy_id)}"),
                Compared(other, self._spelled(other, own), f"Copy {typical}, typical"),
            )

        self.context.shell.background(read, self._show, on_error=self._failed, group="compare")

    def _spelled(self, copy: Copy, own: tuple[str, ...]) -> dict[int, str]:
        from store.campaigns.in_child import spelled_in_child
        from store.campaigns.making import Context

        return spelled_in_child(self.context.vault.raw(copy.id), Context(copy.record.client_address, own))

    def _show(self, read: tuple[Compared, Compared] | None) -> None:
        if not self.is_attached:
            return
        if read is None:
            self.head.update(_NO_OTHER)
            self.lines.build(None)
            return
        one, other = read
        zone = self.context.tz
        share = f"{shared_share(one.keys, other.keys) * 100:.0f} % of their keys in common"
        self.head.update(f"Copy {one.copy.id} and typical copy {other.copy.id}: {share}")
        self.lines.build(lambda width: compare_lines(one, other, zone, width))
        self.lines.to_top()

    def _failed(self, error: Exception) -> None:
        if self.is_attached:
            gone = isinstance(error, CopyMissing)
            self.head.update("▲ One of the two copies is no longer in Backup." if gone else f"▲ {explain(error)}")
            self.lines.build(None)

    def reason_against(self, action: str) -> str | None:
        """Return why an action is not possible now, or None."""
        if action in ("compare-next", "compare-previous") and self.neighbour is None:
            return "Next and previous work only on copies compared from their campaign."
        if action == "compare-peel" and self.campaign is None:
            return "The copy is no longer in a campaign."
        return actions.reason_against(self.context, action)

    def action_neighbour(self, step: int) -> None:
        """Compare the next or the previous copy of the campaign."""
        if self.refused("compare-next") or self.neighbour is None:
            return
        target = self.neighbour(self.copy_id, step)
        if target is None:
            self.context.shell.notice("This is the last copy." if step > 0 else "This is the first copy.")
        else:
            self.copy_id = target
            self.follow_store()

    def action_view(self) -> None:
        """View the copy."""
        self.context.shell.open_copy(self.copy_id, self.neighbour)

    def action_peel(self) -> None:
        """Ask, then peel the copy off its campaign."""
        if not self.refused("compare-peel") and (campaign := self.campaign) is not None:
            campaigning.peel_off(self.context, campaign, [self.copy_id])

    def action_back(self) -> None:
        """Go back to the campaign."""
        self.context.shell.close_page()


def _place(campaign: Campaign, copy: int) -> str:
    """Say why the copy is odd in its campaign, or how well it fits. Safe to show."""
    for each in campaign.odd:
        if each.copy == copy:
            return f"odd: {reasons_words(each.reasons)}"
    for each_copy, fit in zip(campaign.copies, campaign.fits, strict=True):
        if each_copy == copy:
            return f"fits at {fit} %"
    return "in no campaign"
