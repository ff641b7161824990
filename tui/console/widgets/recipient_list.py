"""The addresses of a delivery with their sources, each to be ticked or not. Draws only visible lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from store.terms.hosts import punycode
from tui.terminal.safe import fit

if TYPE_CHECKING:
    from store.delivery.queue import Recipient

#: Widths (cells) of the last column: for sources, and for the reasons why an address is not ticked.
_SOURCE_WIDTH, _REASON_WIDTH = 22, 26


def _spelled(address: str) -> str:
    """Write an address, followed by its domain in punycode if that is not plain ASCII."""
    domain = address.rpartition("@")[2]
    ascii_domain = punycode(domain)
    return f"{address} ({ascii_domain})" if ascii_domain and ascii_domain != domain else address


class RecipientList(ScrollView, can_focus=True):
    """Lines ``[x] address   source``. Space unticks the address at the cursor, or ticks it again.

    Addresses in `unticked` are unticked at first, and show the reason in place of their source. While the list is not
    `active` no address is ticked; the first one ticked then becomes the only one.
    """

    #: The keys, in words, for the window's edge.
    key_words: ClassVar[tuple[str, ...]] = ("↑↓ move", "Space tick")
    DEFAULT_CSS = """
    RecipientList {
        height: auto; scrollbar-size-vertical: 1; overflow-x: hidden;
        & > .recipients--cursor { text-style: reverse; color: $accent; }
        & > .recipients--source { color: $text-muted; }
        & > .recipients--off { color: $text-disabled; text-style: italic; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"recipients--cursor", "recipients--source", "recipients--off"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "move(-10)", "Page up", show=False),
        Binding("pagedown", "move(10)", "Page down", show=False),
        Binding("home", "edge(0)", "First", show=False),
        Binding("end", "edge(-1)", "Last", show=False),
        Binding("space", "leave_out", "Leave out", show=False),
    ]

    cursor: reactive[int] = reactive(0, init=False)
    #: False draws the list as unused, without ticks, but keeps the choices.
    active: reactive[bool] = reactive(True, init=False)

    class Changed(Message):
        """An address was ticked or unticked."""

        def __init__(self, recipients: RecipientList) -> None:
            super().__init__()
            self.recipients = recipients

        @property
        def control(self) -> RecipientList:
            return self.recipients

    def __init__(
        self, recipients: Sequence[Recipient], *, unticked: Mapping[str, str] | None = None, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.recipients = recipients
        self.unticked = unticked or {}
        self.left_out: set[str] = set(self.unticked)

    @property
    def ticked(self) -> int:
        """Number of addresses that are not left out."""
        return sum(one.address not in self.left_out for one in self.recipients)

    def reset(self) -> None:
        """Restore the default ticks."""
        self.left_out = set(self.unticked)
        self.refresh()

    def on_mount(self) -> None:
        self.virtual_size = Size(1, len(self.recipients))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.recipients)

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if not 0 <= index < len(self.recipients):
            return Strip.blank(width, self.rich_style)
        recipient = self.recipients[index]
        source = recipient.source + (" · Bcc" if recipient.bcc and recipient.source != "Bcc" else "")
        source = self.unticked.get(recipient.address, source)
        column = _REASON_WIDTH if self.unticked else _SOURCE_WIDTH
        room = max(8, width - column - 5)
        box = "[x] " if self.active and recipient.address not in self.left_out else "[ ] "
        style, source_style = self.rich_style, self.get_component_rich_style("recipients--source")
        if not self.active:
            style = source_style = self.get_component_rich_style("recipients--off")
        elif self.has_focus and index == self.cursor:
            style = self.get_component_rich_style("recipients--cursor")
            source_style = style
        line = [
            Segment(box + fit(_spelled(recipient.address), room) + " ", style),
            Segment(fit(source, column), source_style),
        ]
        return Strip(line).adjust_cell_length(width, style)

    def watch_cursor(self) -> None:
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False)
        self.refresh()

    def watch_active(self) -> None:
        self.refresh()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def action_move(self, step: int) -> None:
        """Move the cursor; a single step beyond either end moves the focus to the next or previous control."""
        target = self.cursor + step
        if abs(step) == 1 and not 0 <= target < len(self.recipients):
            if step > 0:
                self.screen.focus_next()
            else:
                self.screen.focus_previous()
            return
        self.cursor = max(0, min(len(self.recipients) - 1, target))

    def action_edge(self, index: int) -> None:
        self.cursor = index % len(self.recipients)

    def action_leave_out(self) -> None:
        self._toggle(self.cursor)

    def on_click(self, event: events.Click) -> None:
        index = event.y + self.scroll_offset.y
        if 0 <= index < len(self.recipients):
            self.cursor = index
            self._toggle(index)

    def _toggle(self, index: int) -> None:
        address = self.recipients[index].address
        if self.active:
            self.left_out ^= {address}
        else:
            self.left_out = {one.address for one in self.recipients} - {address}
        self.refresh()
        self.post_message(self.Changed(self))
