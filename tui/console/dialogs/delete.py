"""The Delete message(s) window."""

from __future__ import annotations

from tui.console.dialogs.chosen import Summary
from tui.console.dialogs.confirm import ConfirmDialog
from tui.terminal.words import copies, counted, message_copies


class DeleteDialog(ConfirmDialog):
    """Asks whether to delete `count` message copies.

    `kept` says how long the bin keeps them: ``until 2 Dec``; then one Enter confirms. "" means that there is no bin;
    then the number must be typed; `no_room`: the bin has no room, because the disk is full. `outside`: marked copies
    that the filter does not show; `live`: copies that wait for delivery and are kept; `odd`: copies that are odd in
    their campaign; `known`: copies of known senders. `summary` says which copies are concerned.
    """

    def __init__(
        self,
        count: int,
        *,
        outside: int = 0,
        live: int = 0,
        odd: int = 0,
        known: int = 0,
        summary: Summary | None = None,
        kept: str = "",
        no_room: bool = False,
    ) -> None:
        what = "this message copy" if count == 1 else message_copies(count)
        hints = []
        if outside:
            hints.append(f"{counted(outside, 'marked copy is', 'marked copies are')} outside the filter shown.")
        if live:
            hints.append(
                f"{counted(live, 'copy waits', 'copies wait')} for delivery and will be kept: "
                "cancel the delivery in Message queue first."
            )
        doubts = [f"{copies(odd)} odd in {'its' if odd == 1 else 'their'} campaign"] if odd else []
        doubts += [f"{copies(known)} of known senders"] if known else []
        if doubts:
            hints.append(f"Among them: {', '.join(doubts)}." if count > 1 else _doubt(odd, known))
        super().__init__(
            "Delete message(s)",
            f"Delete {what} from Backup? {fate(count, kept, no_room=no_room)}",
            "Delete",
            warning=" ".join(hints),
            danger=not kept,
            typed=0 if kept else count,
            summary=summary,
            ready=bool(kept),
        )


def _doubt(odd: int, known: int) -> str:
    """Return a sentence with the reasons to doubt the deletion of a single copy."""
    said = ["it is odd in its campaign"] * bool(odd) + ["its sender is known"] * bool(known)
    return f"{' and '.join(said).capitalize()}."


def fate(count: int, kept: str, *, no_room: bool = False) -> str:
    """Return sentences that say whether the copies can be brought back. Parameters as in `DeleteDialog`."""
    if no_room:
        return "The disk is full, and the bin has no room: this deletes permanently. It cannot be undone."
    if not kept:
        return "This cannot be undone."
    goes, it = ("It goes", "it") if count == 1 else ("They go", "them")
    return f"{goes} to the bin, which keeps {it} {kept}. z brings {it} back."
