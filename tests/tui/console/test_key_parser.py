"""Terminal input cut into pieces anywhere: an Esc stays an Esc, and a paste is not read as keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events

from tui.console.keys.key_parser import KeyParser


def parsed(*pieces: str) -> list[str]:
    """Return the keys; a paste as its text in quotes."""
    parser = KeyParser()
    found = [event for piece in pieces for event in parser.feed(piece)]
    found += parser.stop_waiting()
    return [event.key if isinstance(event, events.Key) else repr(event.text) for event in found]


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("\x1be", ["escape", "e"]),
        ("\x1bE", ["escape", "E"]),
        ("*d\x1be", ["asterisk", "d", "escape", "e"]),
        ("\x1b\r", ["escape", "enter"]),
        ("\x1b ", ["escape", "space"]),
        ("\x1b\t", ["escape", "tab"]),
        ("\x1b\x1b", ["escape", "escape"]),
        ("\x1b12", ["escape", "1", "2"]),
        ("\x1be\x1b", ["escape", "e", "escape"]),
        ("\x1b[\x1b", ["escape", "left_square_bracket", "escape"]),
        ("\x1b\x1b[A", ["escape", "up"]),
        ("\x1b[A\x1b[1;2B", ["up", "shift+down"]),
        ("\x1bOP", ["f1"]),
        ("\x1b[é", ["escape", "left_square_bracket", "é"]),
        ("\x1bO\r", ["escape", "O", "enter"]),
        ("\x1b[<d", ["escape", "left_square_bracket", "less_than_sign", "d"]),
        ("\x1b[200~video\x1b[201~j", ["'video'", "j"]),
        ("\x1b[200~\x1bd\r\x1b[A\x1b[201~j", ["'d\\r[A'", "j"]),
    ],
)
def test_what_is_sent_in_one_piece(sent: str, keys: list[str]) -> None:
    assert parsed(sent) == keys


@given(st.lists(st.sampled_from(["\x1b", "\x1b[A", "\x1b[Z", "e", "\r", "\t", " ", "4", "é"]), max_size=8), st.data())
def test_the_keys_are_the_same_however_they_are_cut(typed: list[str], data: st.DataObject) -> None:
    names = {"\x1b": "escape", "\x1b[A": "up", "\x1b[Z": "shift+tab", "\r": "enter", "\t": "tab", " ": "space"}
    sent = "".join(typed)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(sent)))))
    pieces = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True) if start < end]
    assert parsed(*pieces) == [names.get(key, key) for key in typed]


@given(st.text(alphabet="\x1b[201~de\r", max_size=12), st.data())
def test_what_is_pasted_makes_no_key_however_it_is_cut(text: str, data: st.DataObject) -> None:
    sent = f"j\x1b[200~{text}\x1b[201~k"
    if "\x1b[201~" in text or "\x1b[201~" in f"{text}\x1b[201~"[: len(text) + 5]:
        return
    cuts = sorted(data.draw(st.sets(st.integers(0, len(sent)))))
    pieces = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True) if start < end]
    assert parsed(*pieces) == ["j", repr(text.replace("\x1b", "")), "k"]
