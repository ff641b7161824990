"""Columns stay aligned in tmux: the console counts the same cells for a text as tmux."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from store.message.message import summarise
from store.opening.opening import create_store
from tests.tui.console.fakes import NOW, sample
from tests.tui.pseudo_terminal import RUN
from tui.demo.languages import languages
from tui.terminal.safe import fit, safe
from tui.terminal.widths import cell_len, get_character_cell_size

#: A program that writes texts from the left edge, and after each records the cursor column that the terminal reports.
_ASK = """
import json, os, sys, tty
texts = json.load(open(sys.argv[1]))
tty.setraw(0)
columns = []
for text in texts:
    os.write(1, b"\\r\\x1b[K" + text.encode() + b"\\x1b[6n")
    reply = b""
    while not reply.endswith(b"R"):
        reply += os.read(0, 64)
    columns.append(int(reply.split(b";")[-1][:-1]) - 1)
json.dump(columns, open(sys.argv[2], "w"))
"""
#: Texts that once pushed the columns after them to the right, or might.
SUBJECTS = [
    "हिन्दी में एक संदेश: आपका खाता",
    "தமிழ் செய்தி வணக்கம்",
    "বাংলা ভাষায় একটি বার্তা",
    "ภาษาไทย ข้อความสำคัญ น้ำ",
    "മലയാളം സന്ദേശം",
    "ಕನ್ನಡ ಸಂದೇಶ ನಿಮ್ಮ ಖಾತೆ",
    "မြန်မာ စာတို",
    "សារខ្មែរ សំខាន់",
    "flags 🇩🇪🇫🇷🇺 signs ☝✌️✍🏽 ㉈",
    "👩‍👩‍👧‍👦 family ❤️ 🏳️‍🌈 1️⃣ ‼️ ©️",
    "日本語 한국어 Ελληνικά é",
    "שלום مرحبا",
]

Tmux = Callable[..., str]


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    """Return a function that runs a command of a private tmux server and returns its output."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color", "MAILHOLD_KEYS": "/nowhere"}
    for name in ("TMUX", "COLUMNS", "LINES"):
        environment.pop(name, None)

    def run(*words: str, check: bool = True) -> str:
        command = ["tmux", "-u", "-S", str(tmp_path / "tmux"), "-f", "/dev/null", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=check).stdout

    yield run
    run("kill-server", check=False)


@pytest.fixture
def measured(tmux: Tmux, tmp_path: Path) -> Callable[[list[str]], list[int]]:
    """Return a function that gives tmux's cursor column after each text."""

    def measure(texts: list[str]) -> list[int]:
        asked, answered = tmp_path / "asked", tmp_path / "answered"
        asked.write_text(json.dumps(texts))
        command = [sys.executable, "-c", _ASK, str(asked), str(answered)]
        tmux("new-session", "-d", "-x", "200", "-y", "5", *command)
        end = time.monotonic() + 60
        while not answered.exists() or not answered.read_text().endswith("]"):
            assert time.monotonic() < end
            time.sleep(0.05)
        columns: list[int] = json.loads(answered.read_text())
        return columns

    return measure


def differing(texts: list[str], expected: list[int], found: list[int]) -> list[tuple[str, int, int]]:
    return [each for each in zip(texts, expected, found, strict=True) if each[1] != each[2]]


def test_spacing_marks_take_a_cell_and_others_none() -> None:
    assert [get_character_cell_size(each) for each in "कि\u094d\u0e33\u0301"] == [1, 1, 0, 1, 0]
    assert cell_len("हिन्दी") == 5 and cell_len("é") == 1


@pytest.mark.parametrize("text", SUBJECTS)
def test_a_cell_has_its_width_whatever_is_in_it(text: str) -> None:
    for width in range(1, 40):
        assert cell_len(fit(text, width)) == width


def test_flags_become_letters_in_a_cell_alone() -> None:
    assert fit("🇩🇪 ok ☝", 9) == "DE ok ⍰  "
    assert safe("🇩🇪 ok ☝") == "🇩🇪 ok ☝"


def test_cells_are_as_wide_in_tmux(measured: Callable[[list[str]], list[int]], corpus_files: list[Path]) -> None:
    """Subjects and senders of the demo and of real mail, and every existing character, each in a cell."""
    texts = list(SUBJECTS)
    for language in languages().values():
        texts += [text.subject for text in (*language.spam, *language.phishing, *language.honest)]
        texts += [*language.given, *language.family]
    for file in corpus_files:
        record = summarise(file.read_bytes()[:200_000])
        texts += [record.subject, record.from_, record.to]
    texts += [f"a{chr(code)}b" for code in range(0xA0, 0x30000) if unicodedata.category(chr(code))[0] in "LMNPS"]
    cells = [f"{fit(text, width)}|" for text in dict.fromkeys(texts) for width in ((30,) if len(text) < 8 else (8, 30))]
    assert differing(cells, [cell_len(cell) for cell in cells], measured(cells)) == []


def test_the_console_in_tmux_keeps_its_columns(tmux: Tmux, tmp_path: Path) -> None:
    store, key_file = tmp_path / "s.db", tmp_path / "key"
    vault, _ = create_store(str(store), key_file=key_file)
    for subject in (*SUBJECTS, "plain"):
        record = replace(sample(2), subject=subject, from_=f"{subject} <a@b.example>", size=812)
        vault.put(b"x" * 812, record, stored_at=NOW)
    vault.close()
    command = [sys.executable, "-c", RUN, str(store), str(key_file)]
    tmux("new-session", "-d", "-x", "100", "-y", "24", "-c", str(Path(__file__).parents[3]), *command)
    end, lines = time.monotonic() + 30, []
    while len(lines) < len(SUBJECTS) + 1:
        assert time.monotonic() < end
        time.sleep(0.2)
        lines = [line for line in tmux("capture-pane", "-p").splitlines() if line.rstrip().endswith(" 812 B")]
    assert {cell_len(line.rstrip()) for line in lines} == {cell_len(lines[-1].rstrip())}
