"""Only an Enter or a Space in a visible window deletes, delivers, saves, changes or resends anything.

The test types into a real console in its own terminal: first sequences that once lost mail, then random ones (200;
`MAILHOLD_SEQUENCES=5000` for more, `MAILHOLD_SEED` for others).
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.tui.console.accidents import Console, Step, make_store, meant, sequence

SEQUENCES = int(os.environ.get("MAILHOLD_SEQUENCES", "200"))
SEED = int(os.environ.get("MAILHOLD_SEED", "8"))
#: Consoles driven at the same time.
CONSOLES = 8
_PASTE = b"\x1b[200~%s\x1b[201~"
#: To the campaigns, until the details of the first one are there.
_CAMPAIGNS = Step(b"8", 0.6, b"Seed")


def typed(text: bytes, gap: float = 0.08) -> list[Step]:
    return [Step(bytes([one]), gap) for one in text]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_store(folder)
    return folder


@pytest.fixture
def console(made: Path, tmp_path: Path) -> Iterator[Console]:
    opened = open_console(made, tmp_path)
    yield opened
    opened.close()


def open_console(made: Path, folder: Path) -> Console:
    folder.mkdir(exist_ok=True)
    for name in ("s.db", "key"):
        shutil.copy2(made / name, folder / name)
    return Console(folder, folder / "s.db", folder / "key")


#: Key sequences that did harm in earlier versions, and their effect: none of them may do anything.
ACCIDENTS = {
    "d, then the letter of the button": typed(b"de", 0.6),
    "all marked, and a burst": [Step(b"*de", 0.5)],
    "the word delete": typed(b"delete"),
    "the word delete, all marked": [Step(b"*", 0.2), *typed(b"delete", 0.4)],
    "video pasted": [Step(_PASTE % b"video", 0.5)],
    "video pasted unbracketed": [Step(b"video", 0.5)],
    "cancelled, and a letter in the same packet": [Step(b"*", 0.3), Step(b"d", 0.6), Step(b"\x1be", 0.5)],
    "the number typed, then cancelled with Enter in the same packet": [
        Step(b"d", 0.6), Step(b"1", 0.2), Step(b"\x1b\r", 0.5),
    ],
    "the number and Enter typed ahead": [Step(b"d1\r", 0.6)],
    "Enter typed ahead of a rule's question": [Step(b"4", 0.6), Step(b"e\x1b[D\r", 0.6)],
    "a rule's letters": [Step(b"4", 0.6), *typed(b"eJK", 0.2), Step(b"\x1b", 0.4), *typed(b"JKe", 0.4)],
    "r in the queue": [Step(b"3", 0.6), *typed(b"r", 0.5), *typed(b"eytsa", 0.1)],
    "Alt and letters in a window": [Step(b"r", 0.6), Step(b"\x1bo", 0.2), Step(b"s", 0.6), Step(b"\x1bs", 0.4)],
    "Enter typed ahead of the window in which it is enough": [Step(b"d\r", 0.6)],
    "Enter right behind the window's key": [Step(b"d", 0.05), Step(b"\r", 0.6)],
    "letters in the window in which Enter is enough": [Step(b"d", 0.6), *typed(b"deyo1", 0.05), Step(b"\x1b", 0.4)],
    "the bin's letters": [Step(b"9", 0.6), *typed(b"uEd1", 0.3), Step(b"\x1b", 0.4)],
    "a campaign's letters": [_CAMPAIGNS, *typed(b"doxenm", 0.2), Step(b"\x1b", 0.4), *typed(b"oxem", 0.1)],
    "Enter typed ahead in the campaigns": [_CAMPAIGNS, Step(b"*d\r", 0.6)],
    "Enter typed ahead in a campaign": [_CAMPAIGNS, Step(b"\r", 0.6), Step(b"p\r", 0.6), Step(b"\x1b", 0.4)],
    "a name typed ahead": [_CAMPAIGNS, Step(b"eInvoices\r", 0.6)],
    "Enter typed ahead in the bin": [Step(b"9", 0.6), Step(b"u\r", 0.6)],
    "Enter typed ahead in an act's copies": [Step(b"9", 0.6), Step(b"\r", 0.6), Step(b"*u\r", 0.6)],
    "a paste with an Esc and an Enter in it": [Step(b"d", 0.6), Step(_PASTE % b"1\x1be\r", 0.5)],
}  # fmt: skip


@pytest.mark.parametrize("name", ACCIDENTS)
def test_no_accident(console: Console, name: str) -> None:
    before = console.found()
    console.send(ACCIDENTS[name])
    console.settle()
    assert not before.differs(console.found())


#: The key that opens a window, the keys typed once it is visible, and the rows or files that change.
DONE = {
    "delete": (typed(b"d"), [Step(b"\r", 0)], "bin_act"),
    "brought back": ([Step(b"9", 0.6), *typed(b"u")], [Step(b"\r", 0)], "bin_act"),
    "deleted for good": (
        [Step(b"9", 0.6), Step(b"\r", 0.6), *typed(b"d")], [Step(b"1", 0.1), Step(b"\r", 0)], "tombstone",
    ),
    "save": (typed(b"s"), [Step(b"\r", 0)], "work"),
    "a rule disabled": ([Step(b"4", 0.6), *typed(b"e")], [Step(b"\x1b[D", 0.1), Step(b" ", 0)], "config"),
    "a campaign taken": ([_CAMPAIGNS, *typed(b"o")], [Step(b"\r", 0)], "config"),
    "a campaign named": ([_CAMPAIGNS, *typed(b"e")], [Step(b"Invoices\r", 0)], "config"),
    "a campaign deleted": ([_CAMPAIGNS, *typed(b"d")], [Step(b"\r", 0)], "bin_act"),
    "a copy peeled off": ([_CAMPAIGNS, Step(b"\r", 0.8), *typed(b"p")], [Step(b"\r", 0)], "config"),
    "sent again": ([Step(b"3", 0.6), *typed(b"r")], [Step(b"\x1b[D", 0.1), Step(b"\r", 0)], "deliver"),
}  # fmt: skip


@pytest.mark.parametrize("name", DONE)
def test_the_harness_sees_what_is_meant(console: Console, name: str) -> None:
    """A control: an intended act is done, seen here, and told from an accident."""
    opens, does, where = DONE[name]
    before = console.found()
    console.send(opens)
    console.wait_seen(1)
    console.send(does)
    end = time.monotonic() + 30
    while where not in before.differs(console.found()):
        assert time.monotonic() < end, "nothing was done"
        time.sleep(0.1)
    console.settle()
    assert meant(console.traced(), {})


@pytest.mark.timeout(400 + SEQUENCES)
def test_at_random(made: Path, tmp_path: Path) -> None:
    each = -(-SEQUENCES // CONSOLES)
    with ThreadPoolExecutor(CONSOLES) as pool:
        folders = [tmp_path / f"{number}" for number in range(CONSOLES)]
        found = list(pool.map(lambda number: play(made, folders[number], number, each), range(CONSOLES)))
    accidents = [one for one, _ in found if one]
    assert not accidents, "\n\n".join(accidents)
    meant_by = sum(count for _, count in found)
    assert meant_by < SEQUENCES / 2, "too few of the sequences can show an accident"


def play(made: Path, folder: Path, number: int, count: int) -> tuple[str, int]:
    """Type `count` sequences into one console. Return the first accident, or "", and how many acted on purpose."""
    console = open_console(made, folder)
    windows: dict[str, float] = {}
    before, late, allowed = console.found(), False, 0
    try:
        for turn in range(count):
            steps = sequence(random.Random(f"{SEED} {number} {turn}"))
            console.send(steps)
            console.settle()
            trace = console.traced()
            on_purpose = meant(trace, windows)
            difference = before.differs(console.found())
            if difference and not on_purpose and not late:
                told = "\n".join(map(str, trace))
                return f"seed {SEED}, console {number}, turn {turn}: {difference}\n{steps}\n{told}", allowed
            late = on_purpose  # An act begun by the sequence may end after this look.
            if difference:  # Continue with a store in which nothing has changed or is in progress.
                console.close()
                shutil.rmtree(folder)
                console, late, allowed = open_console(made, folder), False, allowed + 1
                before = console.found()
                windows.clear()
            elif not console.alive:
                windows.clear()
                console.start()
        return "", allowed
    finally:
        console.close()
