"""The base counts cells as the console does, for every character that reaches a cell."""

from __future__ import annotations

import sys

import pytest

from tests.tui.terminal.test_widths import SUBJECTS
from tui.terminal import plain_widths, rich_widths
from tui.terminal.safe import fit


def test_every_character_is_as_wide_without_rich() -> None:
    reached = {character for code in range(sys.maxunicode + 1) for character in fit(f"a{chr(code)}", 4)}
    assert len(reached) > 100_000
    size, other = plain_widths.get_character_cell_size, rich_widths.get_character_cell_size
    assert [each for each in sorted(reached) if size(each) != other(each)] == []


@pytest.mark.parametrize("text", SUBJECTS)
def test_a_cell_is_as_wide_without_rich(text: str) -> None:
    for width in range(1, 30):
        cell = fit(text, width)
        assert plain_widths.cell_len(cell) == width
