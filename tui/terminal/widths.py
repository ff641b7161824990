"""Cell widths of text in a terminal. All code that measures text takes these functions from here.

They are Rich's if it is installed, so that commands and console agree; else Mailhold's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.helpers.installed import installed

if TYPE_CHECKING or installed("rich"):
    from tui.terminal.rich_widths import cell_len, get_character_cell_size
else:
    from tui.terminal.plain_widths import cell_len, get_character_cell_size

__all__ = ["cell_len", "get_character_cell_size"]
