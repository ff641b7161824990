"""The windows that ask for a campaign's name, or for a note on it."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Static

from tui.console.dialogs.base import Dialog
from tui.console.widgets.controls import Field, PushButton


class CampaignTextDialog(Dialog[str]):
    """Asks for a text of at most `limit` characters; "" removes the campaign's present text.

    `about` names the campaign, `warning` is a warning or "". Both are safe to show.
    """

    first_focus = "#text"

    def __init__(self, title: str, about: str, text: str, *, limit: int, placeholder: str, warning: str = "") -> None:
        super().__init__()
        self.title_text = title
        self.about = about
        self.text = text
        self.limit = limit
        self.placeholder = placeholder
        self.warning = warning

    def body(self) -> Iterable[Widget]:
        yield Static(self.about, markup=False)
        if self.warning:
            yield Static(f"▲ {self.warning}", markup=False, classes="warning")
        yield Field(self.text, placeholder=self.placeholder, id="text")

    def buttons(self) -> Iterable[PushButton]:
        yield PushButton("Save", id="ok")
        yield PushButton("Cancel", id="cancel")

    def opened(self) -> None:
        self.query_one("#dialog").border_title = self.title_text

    def accept(self) -> None:
        text = " ".join(self.query_one("#text", Field).value.split())
        if len(text) > self.limit:
            self.complain(f"At most {self.limit:,} characters are possible; this has {len(text):,}.", "#text")
        elif not text.isprintable():
            self.complain("It contains a character that cannot be shown. Remove it.", "#text")
        else:
            self.dismiss(text)
