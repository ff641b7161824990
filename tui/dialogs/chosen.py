"""What a window says of the copies that it asks about, so that nobody answers for others than they think of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from textual.widgets import Static

from tui.safe import safe
from tui.times import full_time
from tui.words import counted

_LONGEST = 300


@dataclass(frozen=True)
class Summary:
    """Of one copy its sender and subject (NOT safe for a terminal); of several when the first and last were placed.

    Times are Unix ms, shown in `zone`; 0 where they are not known. `outside` copies are marked, but not shown by the
    filter.
    """

    zone: tzinfo
    sender: str = ""
    subject: str = ""
    oldest: int = 0
    newest: int = 0
    outside: int = 0

    def lines(self) -> Iterable[Static]:
        """The lines of a window."""
        if self.sender or self.subject:
            text = f"From {safe(self.sender, max_len=_LONGEST)}\n{safe(self.subject, max_len=_LONGEST)}"
            yield Static(text, markup=False, classes="note")
        if self.oldest:
            same = self.oldest == self.newest
            placed = f"Placed in Backup {full_time(self.oldest, self.zone)}"
            text = placed if same else f"{placed}\nto               {full_time(self.newest, self.zone)}"
            yield Static(text, markup=False, classes="note")
        if self.outside:
            text = f"▲ {counted(self.outside, 'marked copy is', 'marked copies are')} outside the filter shown."
            yield Static(text, markup=False, classes="warning")
