"""Cell widths of text by Rich's tables, with one correction; `widths` re-exports these functions.

For Rich, spacing combining marks (vowel signs of Hindi or Tamil) take no cell. The C library, and with it tmux,
xterm and most others, give them one. With Rich's widths each such mark would move the rest of its row one
column to the right of where the console believes it. So importing this module makes Rich, and all of Textual,
measure them as the C library does.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache

from rich.cells import cell_len, get_character_cell_size

from tui.terminal.rich_private import CellTable, count_by, table_of

__all__ = ["cell_len", "get_character_cell_size"]


@cache
def _counted(unicode_version: str = "auto") -> CellTable:
    """Return the width table of a Unicode version, with one cell for spacing marks."""
    table = table_of(unicode_version)
    widths = [entry for start, end, width in table.widths for entry in _without_marks(start, end, width)]
    return table._replace(widths=widths)


def _without_marks(start: int, end: int, width: int) -> Iterator[tuple[int, int, int]]:
    if width:
        yield start, end, width
        return
    for code in range(start, end + 1):
        if unicodedata.category(chr(code)) == "Mc":
            if code > start:
                yield start, code - 1, width
            start = code + 1
    if start <= end:
        yield start, end, width


count_by(_counted)
