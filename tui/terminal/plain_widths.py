"""How many cells a character takes, by Python's own tables: what the commands count with where Rich is not installed.

For what `safe` lets through it is what `widths` counts with Rich, character by character.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

#: Unicode 16 made these two cells wide, and so do terminals; Python's tables say so from 3.14 on.
_WIDE_NOW = ((0x2630, 0x2637), (0x268A, 0x268F), (0x4DC0, 0x4DFF), (0x1D300, 0x1D356), (0x1D360, 0x1D376))


@lru_cache(maxsize=4096)
def get_character_cell_size(character: str) -> int:
    """Return the cells of one character: 0 for what combines with the one before it, 2 for the scripts of East Asia."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    code = ord(character)
    if unicodedata.east_asian_width(character) in "WF" or any(first <= code <= last for first, last in _WIDE_NOW):
        return 2
    return 1


def cell_len(text: str) -> int:
    """Return the cells of `text`, of safe characters."""
    return sum(map(get_character_cell_size, text))
