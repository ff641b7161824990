"""The lines that say which copies a window is about, so that users notice a wrong choice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from textual.widgets import Static

from tui.console.text.columns import DIFFERS
from tui.terminal.safe import safe
from tui.terminal.times import full_time
from tui.terminal.words import counted

_LONGEST = 300


@dataclass(frozen=True)
class Summary:
    """The chosen copies: sender and subject of a single one (NOT safe for a terminal), times of placement of several.

    `envelope`: the envelope sender, if of another organisation than `sender`. `oldest` and `newest` are Unix ms, shown
    in `zone`; 0 is unknown. `gone`: number of further marked copies that others deleted.
    """

    zone: tzinfo
    sender: str = ""
    subject: str = ""
    oldest: int = 0
    newest: int = 0
    envelope: str = ""
    gone: int = 0

    def lines(self) -> Iterable[Static]:
        """Yield the lines for a window."""
        texts = []
        if self.sender or self.subject:
            texts.append(f"From {safe(self.sender, max_len=_LONGEST)}")
            if self.envelope:
                texts.append(f"{DIFFERS} Envelope sender: {safe(self.envelope, max_len=_LONGEST)}")
            texts.append(safe(self.subject, max_len=_LONGEST))
        if self.oldest and self.oldest == self.newest:
            texts.append(f"Placed in Backup {full_time(self.oldest, self.zone)}")
        elif self.oldest:
            texts.append(f"The oldest was placed in Backup {full_time(self.oldest, self.zone)},")
            texts.append(f"the newest {full_time(self.newest, self.zone)}.")
        if texts:
            yield Static("\n".join(texts), markup=False, id="chosen", classes="note")
        if self.gone:
            what = counted(self.gone, "marked copy has", "marked copies have")
            yield Static(f"▲ {what} been deleted by someone else.", markup=False, id="gone", classes="warning")
