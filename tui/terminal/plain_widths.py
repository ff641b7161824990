"""Cell widths of characters by Python's own tables: commands use them if Rich is not installed.

For every character that `safe` lets through they equal Rich's widths as corrected in `rich_widths`.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

#: Two cells wide since Unicode 16, also in terminals; in Python's tables only from 3.14 on.
_WIDE_NOW = ((0x2630, 0x2637), (0x268A, 0x268F), (0x4DC0, 0x4DFF), (0x1D300, 0x1D356), (0x1D360, 0x1D376))


@lru_cache(maxsize=4096)
def get_character_cell_size(character: str) -> int:
    """Return the cells of one character: 0 for combining characters, 2 for wide East Asian ones, else 1."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    code = ord(character)
    if unicodedata.east_asian_width(character) in "WF" or any(first <= code <= last for first, last in _WIDE_NOW):
        return 2
    return 1


def cell_len(text: str) -> int:
    """Return the cells of `text`, which must be safe."""
    return sum(map(get_character_cell_size, text))
