"""The console, measured from outside: start, key to paint, filter keystrokes, bytes, memory."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.benchmarks import peers, store_maker
from tests.benchmarks.figures import Figure, absent, alternately, figure, median, percentile, resident
from tests.benchmarks.terminal import Frame, Terminal
from tui.theme import DARK

KEYS = {"down": b"j", "page down": b"\x1b[6~", "end": b"G", "mark": b" "}
TOP = b"g"
#: Typed and taken back one by one: common, rare, absent until the last letter, in several scripts.
TYPED = ("casino", "schmidt", "оплата", "发票", "verify", "straße", "تحديث")
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


def console(location: Path) -> Terminal:
    """A console on a store of ours."""
    key = store_maker.key_of(location)
    return Terminal([sys.executable, "-m", "tui", "--store", str(location), "--key-file", str(key)])


def _rows(frame: Frame) -> bool:
    """Whether a frame shows the list with its cursor."""
    return _CURSOR in frame.data


def _result(frame: Frame) -> bool:
    """Whether a frame shows another result: the list anew, or other counts."""
    return len(frame.data) > 3000 or "shown of" in frame.text


def _loaded(frame: Frame) -> bool:
    return " UTC" in frame.text and "reading" not in frame.text and "cop" in frame.text


def settled(terminal: Terminal) -> int:
    """Wait until every copy is in the catalogue and nothing is painted any more. Returns the largest frame's bytes."""
    seen, largest = False, 0

    def done(frame: Frame) -> bool:
        nonlocal seen, largest
        seen, largest = seen or "reading" in frame.text, max(largest, len(frame.data))
        return seen and _loaded(frame)

    terminal.wait(done, 120)
    terminal.quiet(0.4)
    return largest


def press(terminal: Terminal, key: bytes, what: Callable[[Frame], bool] = _rows, seconds: float = 5.0) -> float:
    """Type a key and answer in how many ms what it does was painted."""
    at = terminal.type(key)
    return (terminal.wait(what, seconds).at - at) * 1000


# --- Start ------------------------------------------------------------------------------------------------------------


def start(size: str) -> Iterator[Figure]:
    """Start to first rows and to every filter complete."""
    copies = store_maker.SIZES[size]
    location = store_maker.store(copies)

    def ours() -> float:
        with console(location) as terminal:
            return terminal.wait(_rows).at - terminal.began

    def bare() -> float:
        with Terminal([sys.executable, "-c", _BARE]) as terminal:
            return terminal.wait_bytes(b"ready to go") - terminal.began

    ours(), bare()  # the first of each reads modules from disk
    taken, base = alternately(ours, bare, times=7)
    yield figure(
        *("start to first rows, snapshot present", size, taken, "s"),
        baseline=median(base),
        target="within 0.45 s of a bare Textual app",
        met=lambda middle, _high: middle - median(base) <= 0.45,
    )
    yield peers.neomutt(size)
    with_snapshot = [_complete(location) for _ in range(3)]
    yield figure(
        *("start until every filter is complete, with snapshot", size, with_snapshot, "s"),
        target="1.0 s",
        met=lambda middle, _high: middle <= 1.0,
    )
    copy = store_maker.copy_of(location, "start.store")
    without = []
    for _ in range(2):
        Path(f"{copy}.snapshot").unlink(missing_ok=True)
        without.append(_complete(copy))
    store_maker.remove_store(copy)
    yield figure(
        *("start until every filter is complete, without", size, without, "s"),
        target="8 s",
        met=lambda middle, _high: middle <= 8,
    )


def _complete(location: Path) -> float:
    """Seconds from start until the console says no more that it is reading."""
    with console(location) as terminal:
        terminal.wait(lambda frame: "reading" in frame.text)
        return terminal.wait(_loaded, 120).at - terminal.began


# --- Key to paint -----------------------------------------------------------------------------------------------------


def keys(size: str) -> Iterator[Figure]:
    """Key to paint in a list at rest, beside the same list of a thousand copies."""
    taken: dict[str, list[float]] = {name: [] for name in KEYS}
    small: dict[str, list[float]] = {name: [] for name in KEYS}
    moved = []
    with console(store_maker.store(store_maker.SIZES[size])) as one, console(store_maker.store(1_000)) as other:
        settled(one)
        other.quiet(1.5)
        for name, key in KEYS.items():
            for terminal in (one, other):
                if name != "down":
                    press(terminal, TOP)
                press(terminal, b"j")
            for number in range(40):
                for terminal, values in ((one, taken[name]), (other, small[name])):
                    if number and (name == "end" or number % 12 == 0):
                        press(terminal, TOP)
                    terminal.quiet(_IDLE)
                    values.append(press(terminal, key))
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


def busy(size: str) -> Iterator[Figure]:
    """Key to paint while something else is under way."""
    location = store_maker.store(store_maker.SIZES[size])
    copy = store_maker.copy_of(location, "busy.store")
    with console(location) as terminal:
        settled(terminal)
        idle = _keys_for(terminal, 2.0, lambda: True)
    base = percentile(idle, 0.95)

    def line(name: str, values: Sequence[float]) -> Figure:
        if not values:
            return Figure(
                f"key to paint while {name}", size, None, None, "ms", base, None, "p95 30 ms; it was too short", None
            )
        high = percentile(values, 0.95)
        return Figure(
            *(f"key to paint while {name} (ratio: p95)", size, median(values), high, "ms", base, high / base),
            *("p95 30 ms", high <= 30),
        )

    Path(f"{copy}.snapshot").unlink(missing_ok=True)
    with console(copy) as terminal:
        terminal.wait(_rows)
        terminal.wait(lambda frame: "reading" in frame.text)
        yield line("the catalogue loads", _keys_while(terminal, _loaded, 6.0))
    store_maker.remove_store(copy)
    copy = store_maker.copy_of(location, "busy.store")
    with console(copy) as terminal:
        settled(terminal)
        terminal.type(b"*")
        terminal.quiet(0.5)
        terminal.type(b"d")
        terminal.wait(lambda frame: "cannot be brought back" in frame.text)
        terminal.quiet(0.3)
        terminal.type(b"\t")
        terminal.quiet(0.2)
        terminal.type(b"\r")
        terminal.wait(lambda frame: "elet" in frame.text and ("%" in frame.text or "/" in frame.text))
        yield line("a bulk delete is under way", _keys_while(terminal, lambda frame: "deleted" in frame.text, 6.0))
    store_maker.remove_store(copy)
    from tests.benchmarks import delivering

    if delivering.sink_program() is None:
        yield absent("key to paint while 1,000 are delivered: smtp-sink", size, "ms")
        return
    copy = store_maker.copy_of(location, "busy.store")
    with delivering.sink() as port:
        waiting = delivering.queue(copy, port, 1000)
        with console(copy) as terminal:
            terminal.wait(_rows)
            until = time.monotonic() + 8
            values = _keys_for(terminal, 8.0, lambda: time.monotonic() < until and waiting() > 0)
        yield line("1,000 are delivered", values)
    store_maker.remove_store(copy)


def _keys_for(terminal: Terminal, seconds: float, goes_on: Callable[[], bool]) -> list[float]:
    values = []
    until = time.monotonic() + seconds
    checked = True
    while time.monotonic() < until and checked:
        terminal.quiet(0.02)
        values.append(press(terminal, b"j"))
        if len(values) % 10 == 9:
            checked = goes_on()
    return values


def _keys_while(terminal: Terminal, ended: Callable[[Frame], bool], seconds: float) -> list[float]:
    """Keys until a frame says that what is under way has ended."""
    values = []
    over = False

    def painted(frame: Frame) -> bool:
        nonlocal over
        over = over or ended(frame)
        return _rows(frame)

    until = time.monotonic() + seconds
    while time.monotonic() < until and not over:
        pause = time.monotonic() + 0.02
        while (left := pause - time.monotonic()) > 0:
            frame = terminal.frame(left)
            over = over or (frame is not None and ended(frame))
        if not over:
            values.append(press(terminal, b"j", painted))
    return values


# --- Filter keystrokes ------------------------------------------------------------------------------------------------


def filters(size: str) -> Iterator[Figure]:
    """A letter typed in the filter line until its result is painted, against the same in plain SQLite."""
    copies = store_maker.SIZES[size]
    connection = sqlite3.connect(f"file:{store_maker.plain_sqlite(copies)}?mode=ro", uri=True)
    sql = (
        "SELECT id, sender, recipient, subject FROM message WHERE sender LIKE ?1 OR recipient LIKE ?1 OR "
        "subject LIKE ?1 ORDER BY id DESC LIMIT 50"
    )
    count = "SELECT COUNT(*) FROM message WHERE sender LIKE ?1 OR recipient LIKE ?1 OR subject LIKE ?1"
    values, base, sent = [], [], []
    with console(store_maker.store(copies)) as terminal:
        screenful = settled(terminal)
        until = time.monotonic() + 40
        for word in TYPED:
            terminal.type(b"/")
            terminal.quiet(0.2)
            for at in range(1, len(word) + 1):
                before = terminal.received
                values.append(press(terminal, word[at - 1].encode(), _result, 5.0))
                terminal.quiet(0.12)
                sent.append(float(terminal.received - before))
                if at in (2, len(word)) and time.monotonic() < until:
                    began = time.perf_counter()
                    connection.execute(sql, (f"%{word[:at]}%",)).fetchall()
                    connection.execute(count, (f"%{word[:at]}%",)).fetchall()
                    base.append((time.perf_counter() - began) * 1000)
            terminal.type(b"\x1b")
            terminal.quiet(0.3)
            if time.monotonic() > until:
                break
    connection.close()
    like = percentile(base, 0.95)
    high = percentile(values, 0.95)
    target = "p95 60 ms; 10 times faster than LIKE" if size == "1M" else "p95 60 ms"
    met = high <= 60 and (size != "1M" or high * 10 <= like)
    yield Figure(
        "filter keystroke to painted result (p95 by LIKE)",
        size,
        median(values),
        high,
        "ms",
        like,
        high / like,
        target,
        met,
    )
    yield from peers.search(size, median(values))
    yield figure(
        *("bytes to the terminal: filter keystroke", size, sent, "B"),
        baseline=float(screenful),
        target="one screenful",
        met=lambda middle, _high: middle <= screenful,
    )


# --- Memory -----------------------------------------------------------------------------------------------------------

_LIMITS = {"1M": (500, 700), "100k": (150, 200), "10k": (150, 200)}
_FRAME = """
import sqlite3, sys
import polars as pl
from pathlib import Path
rows = sqlite3.connect(sys.argv[1]).execute("SELECT * FROM message")
columns = [column[0] for column in rows.description]
parts = []
while chunk := rows.fetchmany(50000):
    parts.append(pl.DataFrame(chunk, schema=columns, orient="row"))
frame = pl.concat(parts, rechunk=True)
del parts, chunk
import ctypes; ctypes.CDLL(None).malloc_trim(0)
import time; time.sleep(1.5)
status = Path("/proc/self/status").read_text()
print(next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) * 1.024e-3)
"""


def memory(size: str) -> Iterator[Figure]:
    """MB resident of the console and its processes: while it loads (peak), and at rest afterwards."""
    import subprocess

    copies = store_maker.SIZES[size]
    plain = store_maker.plain_sqlite(copies)
    done = subprocess.run([sys.executable, "-c", _FRAME, str(plain)], capture_output=True, text=True, check=True)
    base = float(done.stdout)
    at_rest, at_peak = _LIMITS[size]
    copy = store_maker.copy_of(store_maker.store(copies), "memory.store")
    for label, snapshot in (("without snapshot", False), ("with snapshot", True)):
        if not snapshot:
            Path(f"{copy}.snapshot").unlink(missing_ok=True)
        elif not Path(f"{copy}.snapshot").exists():
            store_maker.make_snapshot(copy)
        rest, peak = _watch(copy)
        yield figure(
            *(f"memory at rest, started {label}", size, rest, "MB"),
            baseline=base,
            target=f"{at_rest} MB resident",
            met=lambda middle, _high: middle <= at_rest,
        )
        yield figure(
            *(f"memory at its peak, started {label}", size, [peak], "MB"),
            baseline=base,
            target=f"{at_peak} MB",
            met=lambda middle, _high: middle <= at_peak,
        )
    store_maker.remove_store(copy)


def _watch(location: Path) -> tuple[list[float], float]:
    with console(location) as terminal:
        seen: list[float] = []
        stop = threading.Event()

        def sample() -> None:
            while not stop.wait(0.02):
                seen.append(resident(terminal.pid))

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            terminal.wait(_rows)
            settled(terminal)
            for key in (b"G", TOP, b"/", b"c", b"a", b"s", b"\r"):
                terminal.type(key)
                terminal.quiet(0.2)
            terminal.type(b"\x1b")
            until = time.monotonic() + (12 if location.stat().st_size > 1e8 else 5)
            while time.monotonic() < until:
                terminal.quiet(0.3)
                time.sleep(0.1)
        finally:
            stop.set()
            sampler.join()
        return [resident(terminal.pid) for _ in range(5)], max(seen)
