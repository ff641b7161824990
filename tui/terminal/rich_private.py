"""The private parts of Rich that Mailhold uses: all of them are in this file.

Both parts exist from Rich 14.3 to 15.0. `test_rich_private.py` tests each by what is drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import rich.cells
from rich._unicode_data import load
from rich.cells import CellTable

__all__ = ["CellTable", "count_by", "table_of"]


def table_of(unicode_version: str) -> CellTable:
    """Return Rich's table of character widths for a Unicode version; "auto" is the terminal's.

    Rich has no public way.
    """
    return load(unicode_version)


def count_by(tables: Callable[[str], CellTable]) -> None:
    """Make Rich, and thus Textual, measure cells with the table that `tables` returns for a Unicode version.

    Rich has no setting for it: it looks the function up by this name. Widths that are cached already are dropped.
    """
    rich.cells.load_cell_table = tables  # type: ignore[assignment]  # it is called, and nothing else
    rich.cells.get_character_cell_size.cache_clear()
    rich.cells.cached_cell_len.cache_clear()
