"""How many cells text takes, as terminals count them. Whoever measures text takes these functions from here.

They are Rich's where it is installed, so that commands and console count alike; the base has its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.helpers.installed import installed

if TYPE_CHECKING or installed("rich"):
    from tui.terminal.rich_widths import cell_len, get_character_cell_size
else:
    from tui.terminal.plain_widths import cell_len, get_character_cell_size

__all__ = ["cell_len", "get_character_cell_size"]
