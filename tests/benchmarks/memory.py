"""Resident memory of the console and its processes, compared with the same data in one plain Polars frame."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import store_maker
from tests.benchmarks.console import TOP, console, settled, shows_rows
from tests.benchmarks.figures import Figure, figure, resident

_LIMITS = {"1M": (350, 500), "100k": (150, 200), "10k": (150, 200)}
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
    """Measure resident MB of the console and its processes: the peak while loading, and at rest."""
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
            terminal.wait(shows_rows)
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
