"""Rich, and therefore Textual, count cells by the table given to them."""

from __future__ import annotations

import subprocess
import sys

from tui.terminal.rich_private import table_of

WIDER = """
from rich.text import Text
from textual.content import Content
from tui.terminal.rich_private import CellTable, count_by, table_of

def measured():
    return Text("कx").cell_len, Content("कx").cell_length

before = measured()
wide = [(0x915, 0x915, 2), *(entry for entry in table_of("auto").widths if not entry[0] <= 0x915 <= entry[1])]
count_by(lambda version: table_of(version)._replace(widths=sorted(wide)))
print(before, measured())
"""


def test_a_table_says_what_takes_no_cell_or_two() -> None:
    widths = table_of("auto").widths
    width_of = {code: width for start, end, width in widths for code in (0x301, 0x4E00) if start <= code <= end}
    assert width_of == {0x301: 0, 0x4E00: 2}


def test_rich_and_textual_count_by_the_table_that_they_are_given() -> None:
    done = subprocess.run([sys.executable, "-c", WIDER], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "(2, 2) (3, 3)"
