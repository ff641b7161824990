"""The console's top line: name, OUT OF DATE, READ-ONLY or DISK FULL, host, deliveries needing attention, used space,
oldest copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from store.mail.outcome import NOTHING_TO_DO, Attention
from tui.terminal.cells import age
from tui.terminal.outcome_words import attention_words
from tui.terminal.safe import safe

_GB = 1024**3
_MB = 1024**2


def used_of(used: int, maximum: int) -> str:
    """Write ``5.91 of 7.32 GB``, or in MB if the maximum is below 1 GB. Units are binary, as in the spec."""
    unit, name = (_GB, "GB") if maximum >= _GB else (_MB, "MB")
    return f"{used / unit:.2f} of {maximum / unit:.2f} {name}"


def bar(done: int, total: int, cells: int) -> tuple[str, str]:
    """Return the two parts of a bar of `cells` cells; they use different characters, so that colour is not needed."""
    filled = 0 if total <= 0 else min(cells, max(1 if done > 0 else 0, round(cells * done / total)))
    return "━" * filled, "─" * (cells - filled)


class StatusBar(Widget):
    """The top line.

    Without room the bar is left out first, then words, then the host, but never the deliveries that
    need attention nor `read_only` nor `disk_full` nor `out_of_date`, which is True while the store does not answer.
    """

    DEFAULT_CSS = """
    StatusBar {
        dock: top; height: 1; padding: 0 1; background: $panel; color: $foreground;
        & > .status-bar--name { color: $accent; text-style: bold; }
        & > .status-bar--muted { color: $muted; }
        & > .status-bar--faint { color: $muted; }
        & > .status-bar--used { color: $accent; }
        & > .status-bar--low, & > .status-bar--risk { color: $risk; }
        & > .status-bar--danger { color: $danger; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"status-bar--{name}" for name in ("name", "muted", "faint", "used", "low", "risk", "danger")
    }

    used: reactive[int] = reactive(0)
    maximum: reactive[int] = reactive(0)
    low: reactive[bool] = reactive(False)
    oldest: reactive[str] = reactive("")
    attention: reactive[Attention] = reactive(NOTHING_TO_DO)
    disk_full: reactive[bool] = reactive(False)
    out_of_date: reactive[bool] = reactive(False)

    def __init__(
        self, host: str, queue_key: Callable[[], str], *, read_only: bool = False, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.host = safe(host)
        self.read_only = read_only
        self._queue_key = queue_key
        self._oldest: int | None = None

    def tell_age(self, now: int) -> None:
        """Write the age of the oldest copy at `now` (Unix ms) anew."""
        self.oldest = "" if self._oldest is None else age(self._oldest, now)

    def show(self, *, used: int, maximum: int, low: bool, oldest: int | None, now: int) -> None:
        """Show used and maximum bytes and the age of the oldest copy (times are Unix ms).

        `low`: less is free than the threshold of the notice to the administrator.
        """
        self.used, self.maximum, self.low = used, maximum, low
        self._oldest = oldest
        self.tell_age(now)

    def render(self) -> Content:
        def style(text: str, name: str) -> Content:
            return Content.styled(text, self.get_visual_style(f"status-bar--{name}", partial=True))

        width = self.size.width
        name = style("Mailhold", "name")
        alarms = (self.out_of_date, "OUT OF DATE"), (self.read_only, "READ-ONLY"), (self.disk_full, "DISK FULL")
        alarm = next((words for true, words in alarms if true), "")
        if alarm:
            name = Content.assemble(name, "  ", style(alarm, "danger"))
        full = Content.assemble(name, "  ", style(self.host, "muted"))
        if not self.maximum:  # not known yet, or the settings do not verify
            return Content.assemble(full, self._attention(style, short=False))
        low = "low" if self.low else "used"
        amount = style(f"Backup {used_of(self.used, self.maximum)}", low if low == "low" else "muted")
        filled, free = bar(self.used, self.maximum, 16)
        gauge = Content.assemble(" ", style(filled, low), style(free, "faint"))
        oldest = style(f"  oldest {self.oldest}" if self.oldest else "", "muted")
        long, short = self._attention(style, short=False), self._attention(style, short=True)
        for left, right in (
            (Content.assemble(full, long), Content.assemble(amount, gauge, oldest)),
            (Content.assemble(full, long), Content.assemble(amount, oldest)),
            (Content.assemble(full, short), Content.assemble(amount, oldest)),
            (Content.assemble(full, short), amount),
            (Content.assemble(name, short), amount),
        ):
            gap = width - left.cell_length - right.cell_length
            if gap >= 2:
                return Content.assemble(left, " " * gap, right)
        return Content.assemble(name, short)

    def _attention(self, style: Callable[[str, str], Content], *, short: bool) -> Content:
        """Write the deliveries that need attention, and the key that opens the Message queue."""
        words = attention_words(self.attention, short=short)
        if not words:
            return Content("")
        parts = [style(f"{' ' if short and place else '  '}{text}", kind) for place, (text, kind) in enumerate(words)]
        return Content.assemble(*parts, style(f" [{self._queue_key()}]", "muted"))
