"""What Mailhold takes from Rich that Rich does not promise: here, and in no other file.

Both parts are so from Rich 14.3 on, and at 15.0. `test_rich_private.py` has a test of each, against what is seen.
"""

from __future__ import annotations

from collections.abc import Callable

import rich.cells
from rich._unicode_data import load
from rich.cells import CellTable

__all__ = ["CellTable", "count_by", "table_of"]


def table_of(unicode_version: str) -> CellTable:
    """How many cells the characters of a version of Unicode take, "auto" being the terminal's. Nothing public says."""
    return load(unicode_version)


def count_by(tables: Callable[[str], CellTable]) -> None:
    """Let Rich, and Textual with it, count cells by what `tables` answers for a version of Unicode.

    Rich takes its table by this name and has no setting for it; what it counted before is forgotten.
    """
    rich.cells.load_cell_table = tables  # type: ignore[assignment]  # it is called, and nothing else
    rich.cells.get_character_cell_size.cache_clear()
    rich.cells.cached_cell_len.cache_clear()
