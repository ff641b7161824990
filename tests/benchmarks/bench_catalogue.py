"""Measure the catalogue alone: load, snapshot, memory, filters, sorts, pages, and following a store.

    python -m tests.benchmarks.bench_catalogue [--size 1000000] [--dir FOLDER]

The synthetic store (tiny bodies, realistic metadata) is made once in FOLDER and reused. Each measurement of loading
runs in its own process, so that the memory measured is that of a console without its screen. Prints one line per
figure.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from store.catalogue.catalogue import NEWEST, Catalogue, Sort, SortKey
from store.filters.line import parse
from store.opening.opening import Unlock, create_store, open_store
from store.vault.vault import Vault
from tests.benchmarks.store_maker import records

PASSPHRASE = "benchmark"
FILTERS = [
    "c",
    "casino",
    "оплата",
    "zzzz",
    "from:schmidt",
    "to:u77",
    "subject:发票",
    "id:abc",
    "cheap pills -invoice",
    "size:<=20",
    "period:month scan:anti-virus",
    "from:a1 to:u7 subject:pills id:4 rule:3 since:2025-10-12 scan:anti-spam size:>=5 size:<=200",
]


def make_store(location: str, size: int) -> None:
    """Create the store to measure."""
    vault, _ = create_store(location, passphrase=PASSPHRASE)
    started = time.perf_counter()
    vault.put_many(records(size))
    vault.close()
    say("make the store", time.perf_counter() - started, "s")


def say(what: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"{what:<64} {value:>10.1f} {unit}" if unit != "s" else f"{what:<64} {value:>10.2f} s", flush=True)


def memory(field: str) -> float:
    """Return a field of /proc/self/status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def timed(what: str, run: Callable[[], object], times: int = 9) -> None:
    """Print the minimum, median and maximum of several runs (ms)."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    figures = f"{taken[len(taken) // 2]:>10.1f} ms   min {taken[0]:>6.1f}   max {taken[-1]:>6.1f}"
    print(f"{what:<64} {figures}", flush=True)


def measure_load(vault: Vault, label: str) -> Catalogue:
    """Start a catalogue; print the time to its first rows and to all rows, and the memory used."""
    say(f"{label}: resident before", memory("VmRSS"), "MB")
    started = time.perf_counter()
    catalogue = Catalogue(vault)
    catalogue.start()
    page = catalogue.select(parse("")).rows(0, 50, identifiers=False)
    say(f"{label}: first {len(page)} rows", time.perf_counter() - started, "s")
    catalogue.wait_complete()
    say(f"{label}: every filter complete", time.perf_counter() - started, "s")
    say(f"{label}: peak resident then", memory("VmHWM"), "MB")
    time.sleep(6)
    say(f"{label}: resident when settled", memory("VmRSS"), "MB")
    say(f"{label}: peak resident", memory("VmHWM"), "MB")
    return catalogue


def measure_queries(catalogue: Catalogue) -> None:
    """Measure filters (each as if it were the first of its kind), keystrokes that narrow one, sorts and pages."""
    follower = catalogue._follower
    assert follower is not None

    def select(line: str, sort: Sort = NEWEST, *, fresh: bool = True) -> None:
        frame = follower.state.frame
        if fresh:
            frame.orders.forget()
            frame.found = None
            for words in frame.texts.values():
                words._lineage.masks.clear()
        catalogue.select(parse(line), sort).rows(0, 50, identifiers=False)

    for line in FILTERS:
        timed(f"filter {line[:56]}", lambda line=line: select(line))
    timed("filter in", lambda: select("in"))
    for line in ("inv", "invo", "invoice"):
        timed(f"  then the keystroke {line}", lambda line=line: select(line, fresh=False), 1)
    for key in SortKey:
        for descending in (False, True):
            sort = Sort(key, descending)
            timed(f"sort by {key}{' descending' if descending else ''}", lambda sort=sort: select("", sort), 5)
            timed("  with a filter", lambda sort=sort: select(FILTERS[-1], sort), 5)
            timed("  with a filter that few pass", lambda sort=sort: select("a1", sort), 5)
    selection = catalogue.select(parse("invoice"))
    middle = selection.count // 2
    timed("200 rows from the middle", lambda: selection.rows(middle, middle + 200, identifiers=False))
    copy_id = selection.ids(middle, middle + 1)[0]
    timed("position of a copy", lambda: selection.position(copy_id))
    timed("all ids of a result", lambda: selection.ids(), 3)
    timed("engine counts", catalogue.engine_counts)
    timed("counts of 90 days", lambda: catalogue.day_counts(90))


def measure_following(vault: Vault, catalogue: Catalogue) -> None:
    """Measure how long changes take to appear."""
    timed("refresh, nothing changed", catalogue.refresh)

    def put() -> None:
        vault.put_many(records(10, seed=time.time_ns(), start=time.time_ns() // 1_000_000))

    def put_and_refresh() -> float:
        put()
        started = time.perf_counter()
        catalogue.refresh()
        return time.perf_counter() - started

    say("refresh, 10 new copies", 1000 * min(put_and_refresh() for _ in range(5)), "ms")
    doomed = vault.put_many(records(5000, seed=time.time_ns(), start=time.time_ns() // 1_000_000))
    while catalogue.refresh():
        pass
    vault.delete(doomed)
    started = time.perf_counter()
    catalogue.refresh()
    say("refresh, 5,000 deleted", 1000 * (time.perf_counter() - started), "ms")


def measure(location: str, phase: str) -> None:
    """Measure one phase in this process."""
    vault = open_store(location, Unlock.passphrase(PASSPHRASE))
    catalogue = measure_load(vault, phase)
    if phase == "with snapshot":
        measure_queries(catalogue)
        measure_following(vault, catalogue)
        say("resident after all of it", memory("VmRSS"), "MB")
    started = time.perf_counter()
    catalogue.close()
    say(f"{phase}: close", time.perf_counter() - started, "s")
    vault.close()


def main() -> None:
    """Make the store and run each phase in its own process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--dir", type=Path, default=Path(".bench"))
    parser.add_argument("--phase", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    location = str(arguments.dir / f"catalogue-{arguments.size}.store")
    if arguments.phase:
        measure(location, arguments.phase)
        return
    arguments.dir.mkdir(parents=True, exist_ok=True)
    if not Path(location).exists():
        make_store(location, arguments.size)
    snapshot = Path(f"{location}.snapshot")
    snapshot.unlink(missing_ok=True)
    for phase in ("without snapshot", "with snapshot"):
        command = [
            sys.executable,
            __file__,
            "--size",
            str(arguments.size),
            "--dir",
            str(arguments.dir),
            "--phase",
            phase,
        ]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        say("snapshot on disk", snapshot.stat().st_size / 1e6, "MB")


if __name__ == "__main__":
    main()
