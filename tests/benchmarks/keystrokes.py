"""Typing in the filter line: time from a letter until its result is painted, and bytes written."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator

from tests.benchmarks import peers, store_maker
from tests.benchmarks.console import console, press, settled, shows_result
from tests.benchmarks.figures import Figure, figure, median, percentile

#: Words typed letter by letter: common, rare, in several scripts.
TYPED = ("casino", "schmidt", "оплата", "发票", "verify", "straße", "تحديث")


def keystrokes(size: str) -> Iterator[Figure]:
    """Measure from typing a letter in the filter line to its painted result, against plain SQLite."""
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
                values.append(press(terminal, word[at - 1].encode(), shows_result, 5.0))
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
    target = "p95 30 ms; 10 times faster than LIKE" if size == "1M" else "p95 60 ms"
    met = high <= (30 if size == "1M" else 60) and (size != "1M" or high * 10 <= like)
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
