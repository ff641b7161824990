"""Key to paint while the catalogue loads, while copies are deleted, and while copies are delivered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.benchmarks import delivering, store_maker
from tests.benchmarks.console import console, press, settled, shows_all_loaded, shows_rows
from tests.benchmarks.figures import Figure, absent, median, percentile
from tests.benchmarks.terminal import Frame, Terminal


def busy(size: str) -> Iterator[Figure]:
    """Measure key to paint while other work is running."""
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
        terminal.wait(shows_rows)
        terminal.wait(lambda frame: "reading" in frame.text)
        yield line("the catalogue loads", _keys_while(terminal, shows_all_loaded, 6.0))
    store_maker.remove_store(copy)
    copy = store_maker.copy_of(location, "busy.store")
    with console(copy) as terminal:
        settled(terminal)
        terminal.type(b"*")
        terminal.quiet(0.5)
        terminal.type(b"d")
        terminal.wait(lambda frame: "copies from Backup?" in frame.text)
        terminal.quiet(0.5)  # The window counts nothing in its first 0.3 s.
        terminal.type(str(store_maker.SIZES[size]).encode())
        terminal.quiet(0.2)
        terminal.type(b"\r")
        terminal.wait(lambda frame: "elet" in frame.text and ("%" in frame.text or "/" in frame.text))
        yield line("a bulk delete is under way", _keys_while(terminal, lambda frame: "deleted" in frame.text, 6.0))
    store_maker.remove_store(copy)
    if delivering.sink_program() is None:
        yield absent("key to paint while 1,000 are delivered: smtp-sink", size, "ms")
        return
    copy = store_maker.copy_of(location, "busy.store")
    with delivering.sink() as port:
        waiting = delivering.queue(copy, port, 1000)
        with console(copy) as terminal:
            terminal.wait(shows_rows)
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
    """Press keys until a frame says that the other work has ended."""
    values = []
    over = False

    def painted(frame: Frame) -> bool:
        nonlocal over
        over = over or ended(frame)
        return shows_rows(frame)

    until = time.monotonic() + seconds
    while time.monotonic() < until and not over:
        pause = time.monotonic() + 0.02
        while (left := pause - time.monotonic()) > 0:
            frame = terminal.frame(left)
            over = over or (frame is not None and ended(frame))
        if not over:
            values.append(press(terminal, b"j", painted))
    return values
