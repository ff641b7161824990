"""The workspace's pages: one for each visited place of the tree, and pages opened over it, such as a copy."""

from __future__ import annotations

from collections.abc import Callable

from textual.containers import Container
from textual.widget import AwaitMount

from tui.console.context import ConsoleContext, Neighbour
from tui.console.keys.keymap import Scope
from tui.console.screens.page import Page
from tui.console.text.bin_lines import Held


def make_page(place: str, context: ConsoleContext) -> Page:
    """Make the page for a place of the tree, and import its module. Raises ValueError for an unknown place."""
    match place:
        case "monitoring":
            from tui.console.screens.monitoring import MonitoringView

            return MonitoringView(context)
        case "campaigns":
            from tui.console.screens.campaigns import CampaignsView

            return CampaignsView(context)
        case "bin":
            from tui.console.screens.bin import BinView

            return BinView(context)
        case "queue":
            from tui.console.screens.queue import QueueView

            return QueueView(context)
        case "rules":
            from tui.console.screens.rules import RulesView

            return RulesView(context)
        case "addresses":
            from tui.console.screens.address_lists import AddressListsView

            return AddressListsView(context)
        case "events":
            from tui.console.screens.events import EventsView

            return EventsView(context)
        case "settings":
            from tui.console.screens.settings import SettingsView

            return SettingsView(context)
    raise ValueError(f"no such place: {place}")


class Places(Container):
    """Shows one page; calls `shown` when that changes.

    `place` is the current place of the tree, `opening` a new page that gets the focus once it is mounted.
    """

    DEFAULT_CSS = """
    Places { width: 1fr; height: 1fr; }
    """

    def __init__(self, context: ConsoleContext, backup: Page, shown: Callable[[], None]) -> None:
        super().__init__(backup)
        self.place = "backup"
        self.opening: Page | None = None
        self.context = context
        self._shown = shown
        self._pages = {"backup": backup}
        self._over: list[Page] = []

    @property
    def page(self) -> Page:
        """The page shown."""
        return self._over[-1] if self._over else self._pages[self.place]

    @property
    def scope(self) -> Scope:
        """The scope of the keys if no widget of the page is focused."""
        return self.page.scope if self._over else Scope.LIST if self.place == "backup" else Scope.PAGE

    def go(self, place: str, *, focus: bool) -> None:
        """Show a place of the tree. Its page is made when first shown."""
        self._drop()
        known = place in self._pages
        if not known:
            self._pages[place] = make_page(place, self.context)
            mounted = self.mount(self._pages[place])
        self.place = place
        self._show()
        self.call_after_refresh(self.page.refresh_data)
        self.page.entered()
        if focus and known:
            self.page.focus_main()  # now, not after the next refresh: keys typed ahead are meant for this page
        elif focus:
            self._enter(self.page, mounted)

    def open_copy(self, copy_id: int, neighbour: Neighbour | None) -> None:
        """Show a copy over the current page. It replaces a copy shown there; going back leads to the page below."""
        from tui.console.screens.message import MessageView

        if isinstance(self.page, MessageView):
            self._over.pop().remove()
        self._open(MessageView(self.context, copy_id, neighbour))

    def open_act(self, held: Held) -> None:
        """Show the copies of an act of the bin over the current page."""
        from tui.console.screens.binned import BinnedView

        self._open(BinnedView(self.context, held))

    def open_campaign(self, campaign_id: int, copy_id: int | None) -> None:
        """Show a campaign over the current page; if it is open below that already, go back to it."""
        from tui.console.screens.campaign import CampaignView

        below = next((one for one in self._over if isinstance(one, CampaignView) and one.shows(campaign_id)), None)
        if below is None:
            self._open(CampaignView(self.context, campaign_id, copy_id))
            return
        while self._over[-1] is not below:
            self._over.pop().remove()
        self._show()
        below.refresh_data()
        below.focus_main()
        if copy_id is not None:
            below.show_copy(copy_id)

    def open_compare(self, campaign_id: int, copy_id: int, neighbour: Neighbour | None) -> None:
        """Compare a copy of a campaign with a typical one, over the current page."""
        from tui.console.screens.compare import CompareView

        self._open(CompareView(self.context, campaign_id, copy_id, neighbour))

    def _open(self, page: Page) -> None:
        self._over.append(page)
        mounted = self.mount(page)
        self._show()
        self._enter(page, mounted)

    def close_page(self) -> None:
        """Close the page on top and show the one below."""
        if self._over:
            self._over.pop().remove()
        self._show()
        if self._over or self.place != "backup":  # the message list is updated even while hidden
            self.page.refresh_data()
        self.page.focus_main()

    def _drop(self) -> None:
        for page in self._over:
            page.remove()
        self._over.clear()

    def _show(self) -> None:
        for page in (*self._pages.values(), *self._over):
            page.display = page is self.page
        self._shown()

    def _enter(self, page: Page, mounted: AwaitMount) -> None:
        """Focus a new page once its widgets are mounted."""
        self.opening = page

        async def enter() -> None:
            try:
                await mounted
                if page is self.page:
                    page.focus_main()
            finally:
                if self.opening is page:
                    self.opening = None

        self.run_worker(enter(), group="enter")
