"""Search filters and sort orders in the catalogue, in plain SQLite with indexes, and on the command line."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks import store_maker
from tests.benchmarks.figures import Figure, alternately, figure, median, seconds

if TYPE_CHECKING:
    from store.catalogue.catalogue import Catalogue

#: A filter for each field of the Search filter and one with all fields, each with the same condition in SQL.
FILTERS = {
    "from:schmidt": "sender LIKE '%schmidt%'",
    "to:u77": "recipient LIKE '%u77%'",
    "subject:发票": "subject LIKE '%发票%'",
    "id:abc": "(message_id LIKE '%abc%' OR mta_id LIKE '%abc%')",
    "rule:3": "rule_id = 3",
    "since:2025-10-12": "stored_at >= 1760227200000",
    "scan:anti-virus": "engine = 'anti-virus'",
    "size:<=1": "size <= 1024",
    "cheap pills -invoice": (
        "(sender LIKE '%cheap%' OR recipient LIKE '%cheap%' OR subject LIKE '%cheap%') AND "
        "(sender LIKE '%pills%' OR recipient LIKE '%pills%' OR subject LIKE '%pills%') AND NOT "
        "(sender LIKE '%invoice%' OR recipient LIKE '%invoice%' OR subject LIKE '%invoice%')"
    ),
    "from:a1 to:u7 subject:pills id:4 rule:3 since:2025-10-09 scan:anti-spam size:<=200": (
        "sender LIKE '%a1%' AND recipient LIKE '%u7%' AND subject LIKE '%pills%' AND (message_id LIKE '%4%' OR mta_id "
        "LIKE '%4%') AND rule_id = 3 AND stored_at >= 1759968000000 AND engine = 'anti-spam' AND size <= 204800"
    ),
}
_COLUMNS = {
    "placed": "stored_at",
    "engine": "engine",
    "from": "sender",
    "to": "recipient",
    "subject": "subject",
    "size": "size",
    "rule": "rule_id",
}


def filters(size: str) -> Iterator[Figure]:
    """Measure each filter as if it were the first of its kind, in its own process."""
    yield from _in_child("filters", size)


def sorts(size: str) -> Iterator[Figure]:
    """Measure each order of each column, over all copies and over the result of a filter."""
    yield from _in_child("sorts", size)


def _in_child(what: str, size: str) -> list[Figure]:
    command = [sys.executable, "-m", "tests.benchmarks.queries", what, size]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [Figure(*row) for row in json.loads(done.stdout)]


def _measure(what: str, size: str) -> list[Figure]:
    from store.catalogue.catalogue import NEWEST, Catalogue, Sort, SortKey
    from store.filters.line import parse

    copies = store_maker.SIZES[size]
    plain = sqlite3.connect(f"file:{store_maker.plain_sqlite(copies)}?mode=ro", uri=True)
    vault = store_maker.open_made(store_maker.store(copies))
    catalogue = Catalogue(vault)
    catalogue.start()
    catalogue.wait_complete()
    time.sleep(1 + copies / 200_000)  # prepared in the background

    def select(line: str, sort: Sort) -> float:
        if what == "filters":
            forget(catalogue)
        return 1000 * seconds(lambda: catalogue.select(parse(line), sort).rows(0, 50, identifiers=False))

    def sql(condition: str, order: str) -> float:
        statement = f"SELECT * FROM message WHERE {condition} ORDER BY {order} LIMIT 50"
        counting = f"SELECT COUNT(*) FROM message WHERE {condition}"
        return 1000 * seconds(lambda: (plain.execute(statement).fetchall(), plain.execute(counting).fetchone()))

    figures = []
    everything = list(FILTERS)[-1]
    cases: list[tuple[str, str, Sort, str, str]] = []
    if what == "filters":
        for line, condition in FILTERS.items():
            cases.append(
                (f"filter {line}" if len(line) < 40 else "filter, all fields set", line, NEWEST, condition, "id DESC")
            )
    else:
        for key in SortKey:
            for descending in (False, True):
                order = f"{_COLUMNS[key.value]} {'DESC' if descending else 'ASC'}, id"
                name = f"sort by {key.value}{', descending' if descending else ''}"
                cases.append((name, "", Sort(key, descending), "1", order))
                cases.append((f"{name}, all fields set", everything, Sort(key, descending), FILTERS[everything], order))
    for name, line, sort, condition, order in cases:
        times = 9 if what == "filters" else 3
        ours, theirs = alternately(partial(select, line, sort), partial(sql, condition, order), times=times, budget=3.0)
        figures.append(_line(name, size, ours, theirs))
    if what == "sorts":
        # The table has one line for all orders and one for the slowest.
        slowest = max(figures, key=lambda one: one.p95 or 0)
        ours = [one.median or 0 for one in figures]
        theirs = [one.baseline or 0 for one in figures]
        figures = [
            _line("any sort order, with and without a filter", size, ours, theirs),
            slowest._replace(name=f"  the slowest: {slowest.name}"),
        ]
    catalogue.close()
    vault.close()
    plain.close()
    return figures


def forget(catalogue: Catalogue) -> None:
    """Empty a catalogue's caches, so that a filter is the first of its kind."""
    from store.catalogue.senders import Senders

    follower = catalogue._follower
    assert follower is not None
    follower.state.frame.orders.forget()
    follower.state.frame.found = None
    for words in follower.state.frame.texts.values():
        for each in (words, *(words.parts if isinstance(words, Senders) else ())):
            each._lineage.masks.clear()


def _line(name: str, size: str, ours: list[float], theirs: list[float]) -> Figure:
    return figure(
        *(name, size, ours, "ms"), baseline=median(theirs), target="100 ms", met=lambda _middle, high: high <= 100
    )


def _within(limit: float, middle: float, _high: float) -> bool:
    return middle <= limit


def run_quietly(line: list[str]) -> None:
    """Run a command without its output. Raises CalledProcessError."""
    subprocess.run(line, stdout=subprocess.DEVNULL, check=True)


def command(size: str) -> Iterator[Figure]:
    """Measure `mailhold list QUERY --json --limit 20` next to an interpreter that does nothing."""
    location = store_maker.store(store_maker.SIZES[size])
    key = str(store_maker.key_of(location))
    base = [sys.executable, "-c", "pass"]

    def run(line: list[str]) -> float:
        return seconds(partial(run_quietly, line))

    for query in ("subject:verify", "оплата from:schmidt", ""):
        words = [query] if query else []
        line = [
            *(sys.executable, "-m", "tui", "list", *words, "--json", "--limit", "20"),
            *("--store", str(location), "--key-file", key),
        ]
        ours, bare = alternately(partial(run, line), partial(run, base), times=5)
        yield figure(
            *(f"list {query or '(no query)'} --json --limit 20", size, ours, "s"),
            baseline=median(bare),
            target="0.4 s",
            met=partial(_within, 0.4),
        )


if __name__ == "__main__":
    out = os.dup(1)
    os.dup2(2, 1)
    rows = _measure(sys.argv[1], sys.argv[2])
    with os.fdopen(out, "w") as answer:
        json.dump(rows, answer)
