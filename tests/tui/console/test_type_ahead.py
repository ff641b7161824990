"""Keys faster than the screen (a slow line, a paste) go where they were meant to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.opening.opening import create_store
from tests.tui.console.fakes import NOW, sample
from tests.tui.pseudo_terminal import Terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    store, key_file = tmp_path / "s.db", tmp_path / "key"
    vault, _ = create_store(str(store), key_file=key_file)
    vault.put_many((b"Subject: x\r\n\r\nx\r\n", sample(n), NOW - n * 60_000) for n in range(100))
    vault.close()
    opened = Terminal(store, key_file)
    opened.wait_for("100 copies")
    yield opened
    opened.close()


def test_back_to_the_list_and_on(terminal: Terminal) -> None:
    terminal.press(b"1")
    terminal.wait_for("Copies by engine")
    terminal.press(b"2jj  ")
    terminal.wait_for("2 marked")


def test_all_of_a_filter_arrives(terminal: Terminal) -> None:
    terminal.press(b"/from:zzz")
    assert "from:zzz" in terminal.text()


def test_a_filter_and_then_the_list(terminal: Terminal) -> None:
    terminal.press(b"/e\r  ")
    terminal.wait_for("2 marked")
    assert "/ e" in terminal.text()


def test_a_query_typed_at_once_is_for_the_window_and_acts_on_nothing(terminal: Terminal) -> None:
    terminal.press(b"*Usubject:Sample\rd")
    terminal.wait_for("Unmark by query")
    terminal.press(b"\x1b")
    terminal.wait_for("100 marked")


def test_what_is_typed_behind_a_key_that_opens_a_copy_is_meant_for_the_copy(terminal: Terminal) -> None:
    terminal.press(b"\rn")
    terminal.wait_for("To messages list")
    terminal.press(b"\x1b")
    terminal.wait_for("Placed")
    terminal.press(b"y")
    terminal.wait_for("Copy id         2")


def test_what_is_typed_behind_a_key_that_opens_a_window_is_meant_for_the_window(terminal: Terminal) -> None:
    terminal.press(b"fodd\r")
    terminal.wait_for("from:odd")


def test_a_text_to_find_typed_at_once_acts_on_nothing(terminal: Terminal) -> None:
    terminal.press(b"\r/drs\r")
    terminal.wait_for("“drs” is not in Message.")
    terminal.press(b"\x1b")
    terminal.wait_for("100 copies")


def test_where_a_text_was_found_is_of_no_use_on_another_page(terminal: Terminal) -> None:
    terminal.press(b"\r/subject\r")
    terminal.wait_for("is in line")
    terminal.press(b"\x1b")
    terminal.wait_for("100 copies")
    assert "is in line" not in terminal.text()
