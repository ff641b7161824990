"""The Delete message(s) window."""

from __future__ import annotations

from tui.console.dialogs.chosen import Summary
from tui.console.dialogs.confirm import ConfirmDialog
from tui.terminal.words import copies, counted


class DeleteDialog(ConfirmDialog):
    """Asks whether to delete `count` message copies, and for that number to be typed.

    They are kept in the bin for `bin_days` days where Backup has room; with 0 there is no bin. `outside` of them are
    marked but not shown by the filter; `live` of them wait for delivery and will be kept. `summary` says which those
    to delete are.
    """

    def __init__(
        self, count: int, *, outside: int = 0, live: int = 0, summary: Summary | None = None, bin_days: int = 0
    ) -> None:
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
            f"Delete {what} from Backup? {_fate(bin_days)}",
            "Delete",
            warning=" ".join(hints),
            danger=True,
            typed=count,
            summary=summary,
        )


def _fate(bin_days: int) -> str:
    """What becomes of copies that are deleted."""
    if not bin_days:
        return "What is deleted cannot be brought back."
    days = counted(bin_days, "day", "days")
    return f"`mailhold bin restore` brings back what is in the bin: for {days}, or until Backup needs the room."
