"""Measure the console from outside: start, key to paint, filter keystrokes, bytes, memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.benchmarks import peers, store_maker
from tests.benchmarks.figures import Figure, alternately, figure, median, percentile
from tests.benchmarks.terminal import Frame, Terminal
from tui.console.theme import DARK

KEYS = {"down": b"j", "page down": b"\x1b[6~", "end": b"G", "mark": b" "}
TOP = b"g"
_BARE = """
from textual.app import App
from textual.widgets import Label

class Bare(App):
    def compose(self):
        yield Label("ready to go")

Bare().run()
"""
_IDLE = 0.04


def _cursor_colour() -> bytes:
    value = DARK.variables["cursor"].lstrip("#")
    return b"48;2;%d;%d;%d" % tuple(int(value[at : at + 2], 16) for at in (0, 2, 4))


_CURSOR = _cursor_colour()


def console(location: Path | str, key: Path | None = None) -> Terminal:
    """Run a console on a benchmark store; `key` opens one in PostgreSQL."""
    key = key or store_maker.key_of(Path(location))
    return Terminal([sys.executable, "-m", "tui", "--store", str(location), "--key-file", str(key)])


def shows_rows(frame: Frame) -> bool:
    """Return True if a frame shows the list with its cursor."""
    return _CURSOR in frame.data


def shows_result(frame: Frame) -> bool:
    """Return True if a frame shows a new result: the list anew, or other counts."""
    return len(frame.data) > 3000 or "shown of" in frame.text


def shows_all_loaded(frame: Frame) -> bool:
    return " UTC" in frame.text and "reading" not in frame.text and "cop" in frame.text


def settled(terminal: Terminal) -> int:
    """Wait until the catalogue is complete and painting has stopped; return the size (bytes) of the largest frame."""
    seen, largest = False, 0

    def done(frame: Frame) -> bool:
        nonlocal seen, largest
        seen, largest = seen or "reading" in frame.text, max(largest, len(frame.data))
        return seen and shows_all_loaded(frame)

    terminal.wait(done, 120)
    terminal.quiet(0.4)
    return largest


def press(terminal: Terminal, key: bytes, what: Callable[[Frame], bool] = shows_rows, seconds: float = 5.0) -> float:
    """Press a key; return the ms until its effect was painted."""
    at = terminal.type(key)
    return (terminal.wait(what, seconds).at - at) * 1000


def start(size: str) -> Iterator[Figure]:
    """Measure the time from start to first rows and until every filter is complete."""
    copies = store_maker.SIZES[size]
    location = store_maker.store(copies)

    def ours() -> float:
        with console(location) as terminal:
            return terminal.wait(shows_rows).at - terminal.began

    def bare() -> float:
        with Terminal([sys.executable, "-c", _BARE]) as terminal:
            return terminal.wait_bytes(b"ready to go") - terminal.began

    ours(), bare()  # the first run of each reads modules from disk
    taken, base = alternately(ours, bare, times=7)
    yield figure(
        *("start to first rows, snapshot present", size, taken, "s"),
        baseline=median(base),
        target="within 0.45 s of a bare Textual app",
        met=lambda middle, _high: middle - median(base) <= 0.45,
    )
    yield peers.neomutt(size)
    with_snapshot = [seconds_to_complete(location) for _ in range(3)]
    yield figure(
        *("start until every filter is complete, with snapshot", size, with_snapshot, "s"),
        target="1.0 s",
        met=lambda middle, _high: middle <= 1.0,
    )
    copy = store_maker.copy_of(location, "start.store")
    without = []
    for _ in range(2):
        Path(f"{copy}.snapshot").unlink(missing_ok=True)
        without.append(seconds_to_complete(copy))
    store_maker.remove_store(copy)
    yield figure(
        *("start until every filter is complete, without", size, without, "s"),
        target="5 s",
        met=lambda middle, _high: middle <= 5,
    )


def seconds_to_complete(location: Path | str, key: Path | None = None) -> float:
    """Return the seconds from start until the console no longer says that it is reading."""
    with console(location, key) as terminal:
        terminal.wait(lambda frame: "reading" in frame.text)
        return terminal.wait(shows_all_loaded, 120).at - terminal.began


def keys(size: str) -> Iterator[Figure]:
    """Measure key to paint in an idle list, next to the same list with a thousand copies."""
    moved = []
    with console(store_maker.store(store_maker.SIZES[size])) as one, console(store_maker.store(1_000)) as other:
        settled(one)
        other.quiet(1.5)
        taken, small = pressed_in_turn(one, other)
        press(one, TOP)
        for _ in range(10):
            one.quiet(0.1)
            one.type(b"j")
            moved.append(float(one.quiet(0.1)))
    for name in KEYS:
        base = percentile(small[name], 0.95)
        high = percentile(taken[name], 0.95)
        yield Figure(
            *(f"key to paint: {name} (baseline and ratio: p95 at 1k)", size, median(taken[name]), high, "ms"),
            *(base, high / base, "p95 10 ms, ratio under 1.5", high <= 10 and high / base < 1.5),
        )
    yield figure(
        *("bytes to the terminal: cursor move", size, moved, "B"),
        target="1,500 B",
        met=lambda _middle, high: high <= 1500,
    )


def pressed_in_turn(one: Terminal, other: Terminal) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Press each of `KEYS` in two consoles, alternating key by key. Returns the ms until each was painted."""
    taken: dict[str, list[float]] = {name: [] for name in KEYS}
    others: dict[str, list[float]] = {name: [] for name in KEYS}
    for name, key in KEYS.items():
        for terminal in (one, other):
            if name != "down":
                press(terminal, TOP)
            press(terminal, b"j")
        for number in range(40):
            for terminal, values in ((one, taken[name]), (other, others[name])):
                if number and (name == "end" or number % 12 == 0):
                    press(terminal, TOP)
                terminal.quiet(_IDLE)
                values.append(press(terminal, key))
    return taken, others


def _shows(text: str, frame: Frame) -> bool:
    return text in frame.text


def step(size: str) -> Iterator[Figure]:
    """Measure the time from another process's put or delete until two consoles show the new count."""
    copy = store_maker.copy_of(store_maker.store(store_maker.SIZES[size]), "step.store")
    vault = store_maker.open_made(copy)
    taken = []
    with console(copy) as one, console(copy) as other:
        settled(one)
        other.quiet(2.0)
        for number in range(5):
            (raw, record, _at), *_ = store_maker.records(1, seed=number)
            for change in ("put", "delete"):
                for terminal in (one, other):
                    terminal.quiet(0.1)
                began = time.perf_counter()
                if change == "put":
                    copy_id = vault.put(raw, record)
                else:
                    vault.delete([copy_id])
                shown = f"{vault.count().messages:,} copies"
                shows = partial(_shows, shown)
                ends = [terminal.wait(shows, 10).at for terminal in (one, other)]
                taken.append(max(ends) - began)
    vault.close()
    store_maker.remove_store(copy)
    yield figure(
        *("a copy comes or goes until two consoles show it", size, taken, "s"),
        target="1 s",
        met=lambda _middle, high: high <= 1,
    )
