"""The search of memory finds every key, at any position."""

from __future__ import annotations

import random

import pytest

from tests.integration.process_memory import keys_in

PAGE = 4096


@pytest.mark.parametrize("others", [0, 2000], ids=["few", "many"])
@pytest.mark.parametrize("where", [0, 1, 13, PAGE - 4, PAGE, 3 * PAGE - 8, 3 * PAGE - 1, 5 * PAGE - 8])
@pytest.mark.parametrize("around", ["noise", "zeros"])
def test_any_word_of_a_key_is_found_at_any_place(others: int, where: int, around: str) -> None:
    dice = random.Random(where)
    keys = {f"{number}": dice.randbytes(32) for number in range(others)}
    for word in (b"\0\0\0\0\0\0\0k", b"k\0\0\0\0\0\0\0", b"12345678"):
        piece = bytearray(dice.randbytes(5 * PAGE) if around == "noise" else bytes(5 * PAGE))
        piece[where : where + 8] = word
        assert keys_in([bytes(100), bytes(piece)], keys | {"it": b"a" * 24 + word}) == ({"it"}, 5 * PAGE + 100)
        piece[where + 4] ^= 255
        assert keys_in([bytes(piece)], keys | {"it": b"a" * 24 + word}) == (set(), 5 * PAGE)
