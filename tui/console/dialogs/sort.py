"""The window that asks for the column to sort by."""

from __future__ import annotations

from store.catalogue.sort import Sort, SortKey
from tui.console.dialogs.picker import Pick, PickDialog

_LINES = {
    SortKey.PLACED: ("p", "Placed in Backup", "newest first", "oldest first"),
    SortKey.ENGINE: ("e", "Engine and status", "last to first", "first to last"),
    SortKey.FROM: ("f", "From", "Z to A", "A to Z"),
    SortKey.TO: ("t", "To", "Z to A", "A to Z"),
    SortKey.SUBJECT: ("s", "Subject", "Z to A", "A to Z"),
    SortKey.SIZE: ("z", "Size", "largest first", "smallest first"),
    SortKey.RULE: ("r", "Rule", "highest first", "lowest first"),
}


class SortDialog(PickDialog[SortKey]):
    """Returns the sort key of the chosen column. Choosing the present one reverses the order."""

    heading = "Sort"
    acts = False

    def __init__(self, sort: Sort) -> None:
        picks = []
        for key, (letter, label, down, up) in _LINES.items():
            note = f"{'▾' if sort.descending else '▴'} {down if sort.descending else up}" if key is sort.key else ""
            picks.append(Pick(letter, label, note, key))
        super().__init__(picks, list(_LINES).index(sort.key))
