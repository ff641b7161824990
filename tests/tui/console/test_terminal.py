"""A real terminal receives few bytes per step, no escape sequence of a message, and its own state at the end."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.opening.opening import create_store
from store.terms.records import CopyRecord
from tests.tui.console.fakes import NOW, sample
from tests.tui.pseudo_terminal import Terminal

#: The escape sequences that Textual sends: colours, cursor, erase, modes, queries, pointer.
_OWN = re.compile(rb"\x1b\]22;[a-z-]*\x07|\x1b\[[0-9;:?>=<$]*[A-Za-z~]|\x1b\[\?[0-9;]*\$p|\x1b[78=>]")
_ALLOWED_CONTROLS = b"\n\r"

HOSTILE = [
    "\x1b]0;owned\x07title",
    "\x1b[2J\x1b[Hclear",
    "\x9b31mC1 \x9d0;x\x9c",
    "\x1bPq#0;2;0;0;0#0!10~\x1b\\",
    "\u202egnp.exe\u202c \u2066x\u2069",
    "a\x00b\x7fc\rd\ne\u2028f",
    "\x1b]52;c;ZXZpbA==\x07clip",
    "[@click=app.quit]x[/] [/foo] [bold]",
    "e" + "\u0301" * 400,
    "\U000e0041\U000e0042 \ufff9 \ue000",
    "\x0e\x0fshift",
]

#: The screen rows that show the list.
ROWS = range(4, 20)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Make a store of a hundred copies, and its key file."""
    store, key_file = tmp_path / "s.db", tmp_path / "key"
    vault, _ = create_store(str(store), key_file=key_file)
    vault.put_many((b"Subject: x\r\n\r\nx\r\n", sample(n), NOW - n * 60_000) for n in range(100))
    vault.close()
    return store, key_file


@pytest.fixture
def terminal(files: tuple[Path, Path]) -> Iterator[Terminal]:
    """Start the console on it; return when it is ready."""
    opened = Terminal(*files)
    opened.wait_until_loaded(100)
    yield opened
    opened.close()


def test_a_step_of_the_cursor_costs_little(terminal: Terminal) -> None:
    first = terminal.cursor_row(ROWS)
    assert first is not None
    for row in range(first + 1, first + 9):
        assert len(terminal.press_until(b"j", lambda row=row: terminal.cursor_row(ROWS) == row)) < 1_500
    marks = [len(terminal.press_until(b" ", lambda n=n: f"● {n} marked" in terminal.text())) for n in (1, 2, 3)]
    assert max(marks[1:]) < 1_500


def test_a_page_costs_one_screenful(terminal: Terminal) -> None:
    before = terminal.text().splitlines()[ROWS.start]
    cost = terminal.press_until(b"\x1b[6~", lambda: before not in terminal.text())
    assert 0 < len(cost) < 10_000


def test_nothing_is_sent_while_nothing_happens(terminal: Terminal) -> None:
    terminal.read(1.5)
    assert terminal.read(1.5) == b""


def test_the_terminal_gets_its_state_back(terminal: Terminal) -> None:
    assert terminal.leave() == 0
    end = terminal.raw[-200:]
    assert b"\x1b[?1049l" in end and b"\x1b[?25h" in end and b"\x1b[?1000l" in end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_console_that_is_told_to_end_gives_the_terminal_its_state_back(
    terminal: Terminal, number: signal.Signals
) -> None:
    os.kill(terminal.pid, number)
    terminal.read(2.0)
    end = terminal.raw[-200:]
    assert b"\x1b[?1049l" in end and b"\x1b[?25h" in end and b"\x1b[?1000l" in end
    assert terminal.ended() == 128 + number


@pytest.mark.timeout(300)
def test_nothing_of_a_message_reaches_the_terminal(tmp_path: Path) -> None:
    store, key_file = tmp_path / "s.db", tmp_path / "key"
    vault, _ = create_store(str(store), key_file=key_file)
    for text in HOSTILE:
        raw = b"From: x\r\nSubject: x\r\n\r\n" + text.encode() + b"\r\n"
        record = CopyRecord(from_=text, to=text, subject=text, message_id=text, mta_message_id=text, rule_name=text)
        vault.put(raw, record)
    vault.close()
    terminal = Terminal(store, key_file, columns=160, lines=40)
    try:
        terminal.wait_until_loaded(len(HOSTILE))
        for keys in (
            b"y",
            b"\x1b",
            b"f",
            b"\x1b",
            b"d",
            b"\x1b",
            b"s",
            b"\x1b",
            b"\r",
            b"]",
            b"]",
            b"]",
            b"n",
            b"n",
            b"\x1b",
        ):
            terminal.press(keys)
        for _ in HOSTILE:
            terminal.press(b"\r")
            terminal.press(b"\x1b")
            terminal.press(b"j")
        assert terminal.leave() == 0
    finally:
        terminal.close()
    rest = _OWN.sub(b"", terminal.raw)
    text = rest.decode("utf-8")
    strange = [character for character in text if ord(character) < 0x20 and character.encode() not in _ALLOWED_CONTROLS]
    assert not strange
    assert not [character for character in text if 0x7F <= ord(character) <= 0x9F or 0x202A <= ord(character) <= 0x202E]
    assert b"\x1b]0;" not in terminal.raw and b"\x1b]52" not in terminal.raw
