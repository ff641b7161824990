"""The window that asks which field of a copy goes to the clipboard."""

from __future__ import annotations

from store.terms.records import Row
from store.terms.sender import address_first
from tui.console.dialogs.picker import Pick, PickDialog
from tui.terminal.safe import safe

_LONGEST = 2_000


class CopyDialog(PickDialog[str]):
    """Returns the chosen field's text, made safe: clipboards are pasted into terminals too."""

    heading = "Copy to the clipboard"
    acts = False

    def __init__(self, row: Row) -> None:
        fields = (
            ("f", "From", row.from_),
            ("t", "To", row.to),
            ("s", "Subject", row.subject),
            ("m", "Message-ID", row.message_id),
            ("a", "MTA-Message-ID", row.mta_message_id),
            ("i", "Copy id", str(row.id)),
        )
        texts = [(letter, label, safe(text, max_len=_LONGEST)) for letter, label, text in fields]
        shown = {"From": safe(address_first(row.from_), max_len=_LONGEST)}
        super().__init__([Pick(letter, label, shown.get(label, text), text) for letter, label, text in texts if text])
