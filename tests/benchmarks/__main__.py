"""Measure Mailhold and the programs it is compared with, and print one table.

    python -m tests.benchmarks [--size 10k|100k|1M] [BENCHMARK ...]

Stores and mail folders are made once under `.bench/`. The rows are also written to `.bench/results.json`, next to those
of the other sizes; `README.md` in this folder says what each line measures. The exit code is 0 whether or not targets
are met.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks import (
    binning,
    busy,
    campaigns,
    columns,
    console,
    deleting,
    delivering,
    indexing,
    intake,
    keystrokes,
    knowing,
    load,
    memory,
    passing,
    postgresql,
    preflight,
    queries,
    releasing,
    store_maker,
)
from tests.benchmarks.figures import Figure, table
from tests.benchmarks.growth import growth

BENCHMARKS: dict[str, Callable[[str], Iterator[Figure]]] = {
    "start": console.start,
    "keys": console.keys,
    "step": console.step,
    "busy": busy.busy,
    "keystrokes": keystrokes.keystrokes,
    "filters": queries.filters,
    "sorts": queries.sorts,
    "columns": columns.columns,
    "memory": memory.memory,
    "put": intake.put,
    "seal": intake.seal,
    "delete": deleting.delete,
    "bin": binning.bins,
    "preflight": preflight.preflight,
    "deliver": delivering.deliver,
    "postfix": releasing.postfix,
    "load": load.load,
    "knowing": knowing.knowing,
    "indexing": indexing.indexing,
    "import": intake.importing,
    "list": queries.command,
    "campaigns": campaigns.campaigns,
    "postgresql": postgresql.consoles,
    "postgresql-mail": postgresql.mail,
    "passing": passing.passing,
}
RESULTS = store_maker.FOLDER / "results.json"


def kept(path: Path) -> list[Figure]:
    """Return the rows of earlier runs."""
    try:
        return [Figure(**row) for row in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError):
        return []


def _machine() -> str:
    """Name what else keeps the machine busy, because figures taken under load say little."""
    return f"{os.cpu_count()} cores, load {', '.join(f'{load:.1f}' for load in os.getloadavg())}"


def keep(figures: list[Figure], size: str, *, everything: bool) -> list[Figure]:
    """Replace earlier rows of the same names or, with `everything`, all earlier rows of `size`.

    Returns the growth rows that belong to them.
    """
    names = {(one.name, one.size) for one in figures}
    others = [row for row in kept(RESULTS) if (row.name, row.size) not in names]
    others = [row for row in others if row.size != size or not (everything or row.name.startswith("growth"))]
    grown = list(growth([*others, *figures], size))
    rows = [row._asdict() for row in (*others, *figures, *grown)]
    RESULTS.write_text(json.dumps(rows, indent=1, ensure_ascii=False))
    return grown


def main() -> int:
    """Run the benchmarks named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("10k", "100k", "1M"), default="10k")
    parser.add_argument("names", metavar="BENCHMARK", nargs="*", help=f"one of {', '.join(BENCHMARKS)}; default: all")
    arguments = parser.parse_args()
    size: str = arguments.size
    for name in arguments.names:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    return _run(arguments.names, size)


def _run(names: list[str], size: str) -> int:
    """Measure and print; return 1 if something could not be measured, else 0."""
    began = time.monotonic()
    store_maker.FOLDER.mkdir(exist_ok=True)
    # As an installation does: else each start compiles what was edited, where PYTHONDONTWRITEBYTECODE is set.
    for package in ("store", "tui"):
        compileall.compile_dir(package, quiet=1)
    with store_maker.own_memory():
        store_maker.store(store_maker.SIZES[size])
    store_maker.plain_sqlite(store_maker.SIZES[size])
    figures: list[Figure] = []
    failed = False
    for name in names or BENCHMARKS:
        print(f"[{time.monotonic() - began:6.0f} s] {name}", file=sys.stderr, flush=True)
        try:
            with store_maker.own_memory():
                figures += BENCHMARKS[name](size)
            keep(figures, size, everything=False)
        except Exception as error:
            failed = True
            print(f"{name} could not be measured: {error!r}", file=sys.stderr, flush=True)
    grown = keep(figures, size, everything=not names)
    print(table([*figures, *grown]))
    missed = sum(row.met is False for row in [*figures, *grown])
    taken, disk = time.monotonic() - began, store_maker.disk_use() / 1e9
    print(f"\n{size}: {missed} missed; {taken:.0f} s; .bench/ takes {disk:.1f} GB; {_machine()}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
