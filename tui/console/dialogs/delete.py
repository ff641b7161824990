"""The Delete message(s) window."""

from __future__ import annotations

from tui.console.dialogs.chosen import Summary
from tui.console.dialogs.confirm import ConfirmDialog
from tui.terminal.words import copies, counted


class DeleteDialog(ConfirmDialog):
    """Asks whether to delete `count` message copies for good, and for that number to be typed.

    `outside` of them are marked but not shown by the filter; `live` of them wait for delivery and will be kept.
    `summary` says which they are.
    """

    def __init__(self, count: int, *, outside: int = 0, live: int = 0, summary: Summary | None = None) -> None:
        what = "this message copy" if count == 1 else copies(count).replace("copies", "message copies")
        hints = []
        if outside:
            hints.append(f"{counted(outside, 'marked copy is', 'marked copies are')} outside the filter shown.")
        if live:
            hints.append(
                f"{counted(live, 'copy waits', 'copies wait')} for delivery and will be kept: "
                "cancel the delivery in Message queue first."
            )
        super().__init__(
            "Delete message(s)",
            f"Delete {what} from Backup? What is deleted cannot be brought back.",
            "Delete",
            warning=" ".join(hints),
            danger=True,
            typed=count,
            summary=summary,
        )
