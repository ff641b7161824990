"""A store in PostgreSQL beside one in SQLite with the same copies: the console, and mail in, out and away.

Each line's baseline is the same measure in SQLite, taken in turn.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from store.authority.settings import Settings
from store.catalogue.catalogue import NEWEST, Catalogue
from store.catalogue.keeping import snapshot_path
from store.delivery.queue import release
from store.filters.line import parse
from store.opening.opening import Unlock, open_store
from store.space.changing_settings import change_settings
from store.vault.vault import Vault
from tests.benchmarks import deleting, delivering, intake, keystrokes, queries, store_maker
from tests.benchmarks.console import (
    console,
    press,
    pressed_in_turn,
    seconds_to_complete,
    settled,
    shows_result,
    shows_rows,
)
from tests.benchmarks.figures import Figure, alternately, figure, median, percentile, seconds
from tests.benchmarks.postgres_server import Server, key_of, server
from tests.postgres import Missing

#: The factor by which PostgreSQL may be slower.
_MOST = 1.5
_TARGET = f"at most {_MOST} times slower"


class Place(NamedTuple):
    """A store's location and key file."""

    location: str
    key: Path

    def open(self) -> Vault:
        """Open the store."""
        return open_store(self.location, Unlock.key_file(self.key))


def consoles(size: str) -> Iterator[Figure]:
    """Measure the console and `mailhold list` on a store of `size` copies in both databases."""
    yield from _with_server(_consoles, size)


def mail(size: str) -> Iterator[Figure]:
    """Measure mail in, rotation, deliveries and deletion in both databases."""
    yield from _with_server(_mail, size)


def _with_server(measure: Callable[[Server, str], Iterator[Figure]], size: str) -> Iterator[Figure]:
    try:
        with server() as running:
            yield from measure(running, size)
    except Missing as error:
        yield Figure("PostgreSQL", size, None, None, "s", target=str(error)[:34])


def _consoles(running: Server, size: str) -> Iterator[Figure]:
    file = store_maker.store(store_maker.SIZES[size])
    name = running.store(store_maker.SIZES[size])
    ours, theirs = Place(running.url(name), key_of(name)), Place(str(file), store_maker.key_of(file))
    yield from _starts(ours, theirs, size)
    yield from _keys(ours, theirs, size)
    yield from _filters(ours, theirs, size)


def _mail(running: Server, size: str) -> Iterator[Figure]:
    for measure in (_puts, _deliveries, _deletions):
        with store_maker.own_memory():
            yield from measure(running, size)


def _line(name: str, size: str, unit: str, taken: Sequence[Sequence[float]]) -> Figure:
    """Make the line of a measure taken in PostgreSQL and in SQLite."""
    ours, theirs = taken
    base = median(theirs)
    rate = unit.endswith("/s")
    return figure(
        *(f"PostgreSQL: {name}", size, ours, unit),
        baseline=base,
        target=_TARGET,
        met=lambda middle, _high: middle * _MOST >= base if rate else middle <= base * _MOST,
    )


def _starts(ours: Place, theirs: Place, size: str) -> Iterator[Figure]:
    def rows(place: Place) -> float:
        with console(*place) as terminal:
            return terminal.wait(shows_rows).at - terminal.began

    rows(ours), rows(theirs)  # the first run of each reads modules from disk
    copy = store_maker.copy_of(Path(theirs.location), "start.store")
    without = Place(str(copy), store_maker.key_of(copy))
    taken: list[list[float]] = [[], []]
    for _ in range(2):
        for place, values in zip((ours, without), taken, strict=True):
            _snapshot_of(place).unlink(missing_ok=True)
            values.append(seconds_to_complete(*place))
    store_maker.remove_store(copy)
    yield _line("start until every filter is complete, without snapshot", size, "s", taken)
    store_maker.make_snapshot(*ours)
    yield _line("start to first rows", size, "s", alternately(partial(rows, ours), partial(rows, theirs), times=5))
    taken = alternately(partial(seconds_to_complete, *ours), partial(seconds_to_complete, *theirs), times=3, budget=30)
    yield _line("start until every filter is complete, with snapshot", size, "s", taken)

    def listed(place: Place) -> float:
        line = [sys.executable, "-m", "tui", "list", "subject:verify", "--json", "--limit", "20"]
        return seconds(partial(queries.run_quietly, [*line, "--store", place.location, "--key-file", str(place.key)]))

    taken = alternately(partial(listed, ours), partial(listed, theirs), times=3, budget=30)
    yield _line("list subject:verify --json --limit 20", size, "s", taken)


def _snapshot_of(place: Place) -> Path:
    vault = place.open()
    path = snapshot_path(vault)
    vault.close()
    assert path is not None
    return path


def _keys(ours: Place, theirs: Place, size: str) -> Iterator[Figure]:
    with console(*ours) as one, console(*theirs) as other:
        settled(one)
        other.quiet(1.5)
        taken, base = pressed_in_turn(one, other)
        letters: tuple[list[float], list[float]] = ([], [])
        for word in keystrokes.TYPED[:4]:
            for terminal in (one, other):
                terminal.type(b"/")
                terminal.quiet(0.2)
            for letter in word:
                for terminal, values in zip((one, other), letters, strict=True):
                    values.append(press(terminal, letter.encode(), shows_result))
                    terminal.quiet(0.12)
            for terminal in (one, other):
                terminal.type(b"\x1b")
                terminal.quiet(0.3)
    for name, values in taken.items():
        yield _line(f"key to paint: {name}", size, "ms", (values, base[name]))
    yield _line("filter keystroke to painted result", size, "ms", letters)


def _filters(ours: Place, theirs: Place, size: str) -> Iterator[Figure]:
    vaults = [ours.open(), theirs.open()]
    catalogues = [Catalogue(vault) for vault in vaults]
    for catalogue in catalogues:
        catalogue.start()
        catalogue.wait_complete()
    time.sleep(1 + store_maker.SIZES[size] / 200_000)  # prepared in the background
    taken: list[list[float]] = [[], []]
    for line in queries.FILTERS:
        each = alternately(*(partial(_select, catalogue, line) for catalogue in catalogues), times=5, budget=3.0)
        for values, new in zip(taken, each, strict=True):
            values.append(median(new))
    for catalogue, vault in zip(catalogues, vaults, strict=True):
        catalogue.close()
        vault.close()
    yield _line("each field of the Search filter", size, "ms", taken)


def _select(catalogue: Catalogue, line: str) -> float:
    queries.forget(catalogue)
    return 1000 * seconds(lambda: catalogue.select(parse(line), NEWEST).rows(0, 50, identifiers=False))


@contextmanager
def _empty(running: Server, name: str) -> Iterator[tuple[Vault, Vault]]:
    """Make an empty store in each database; remove them at the end."""
    location = store_maker.FOLDER / f"{name}.store"
    with ExitStack() as stack:
        stack.callback(running.drop, name)
        ours = running.empty(name)
        stack.callback(ours.close)
        stack.callback(store_maker.remove_store, location)
        theirs = store_maker.new_store(location)
        stack.callback(theirs.close)
        yield ours, theirs


def _puts(running: Server, size: str) -> Iterator[Figure]:
    messages = itertools.cycle(store_maker.bodies())
    single: list[list[float]] = [[], []]
    grouped: list[list[float]] = [[], []]
    rotating: list[list[float]] = [[], []]
    count = intake.ROUND
    with _empty(running, "put") as vaults, _empty(running, "full_store") as full:
        for vault in full:
            vault.put_many((next(messages), intake.RECORD, None) for _ in range(1500))
            change_settings(vault, Settings(max_size=vault.count().used_bytes))
        for _ in range(intake.ROUNDS):
            batch = [next(messages) for _ in range(count)]
            for number in range(2):
                single[number].append(count / seconds(partial(_put_each, vaults[number], batch)))
                grouped[number].append(3 * count / seconds(partial(intake.together, vaults[number], batch * 3)))
                rotating[number].append(count / seconds(partial(_put_each, full[number], batch)))
    yield _line("put of 75 kB, one durable commit each", size, "msg/s", single)
    yield _line(f"put of 75 kB, {intake.THREADS} at a time", size, "msg/s", grouped)
    yield _line("put of 75 kB into a full store (rotation)", size, "msg/s", rotating)


def _put_each(vault: Vault, batch: Sequence[bytes]) -> None:
    for raw in batch:
        vault.put(raw, intake.RECORD)


def _deliveries(running: Server, size: str) -> Iterator[Figure]:
    if delivering.sink_program() is None:
        yield Figure("PostgreSQL: deliver", size, None, None, "msg/s", target="smtp-sink is not installed")
        return
    with delivering.sink() as port:
        for label, mean in delivering.SIZES.items():
            messages = store_maker.bodies(20, mean)
            raw = [messages[number % len(messages)] for number in range(delivering.COUNT)]
            released: list[list[float]] = [[], []]
            sent: list[list[float]] = [[], []]
            with _empty(running, "deliver") as vaults:
                ids = []
                for vault in vaults:
                    change_settings(vault, Settings(hold=0, hold_many=0, relay=f"smtp://127.0.0.1:{port}"))
                    ids.append(vault.put_many((each, delivering.RECORD, None) for each in raw))
                for _ in range(3):
                    for number, vault in enumerate(vaults):
                        once: Callable[[], object] = partial(release, vault, ids[number], original=True, again=True)
                        released[number].append(delivering.COUNT / seconds(once))
                        sent[number].append(delivering.delivered(vault))
            yield _line(f"deliver 1,000 of {label}, {delivering.CONNECTIONS} connections", size, "msg/s", sent)
            yield _line(f"  release 1,000 of {label}", size, "msg/s", released)


def _deletions(running: Server, size: str) -> Iterator[Figure]:
    file = store_maker.store(store_maker.SIZES[size])
    name = running.store(store_maker.SIZES[size])
    copy = store_maker.copy_of(file, "delete.store")
    os.sync()  # Otherwise the first checkpoint waits until the whole new file is on the disk.
    rates, longest = [], []
    with ExitStack() as stack:
        stack.callback(store_maker.remove_store, copy)
        stack.callback(running.drop, "delete_copy")
        running.copy_of(name, "delete_copy")
        os.sync()
        places = [
            Place(running.url("delete_copy"), key_of("delete_copy")),
            Place(str(copy), store_maker.key_of(copy)),
        ]
        for place in places:
            with store_maker.own_memory():
                vault = place.open()
                ids = vault.ids()[-deleting.MOST :]
                rate, held = deleting.deleted(vault, ids)
                vault.close()
                rates.append([rate])
                longest.append((percentile(held, 0.5), max(held)))
    yield _line(f"delete {len(ids):,} marked", size, "/s", rates)
    (middle, high), (_, theirs) = longest
    yield Figure(
        *("PostgreSQL:   the write lock is held (p95: the longest)", size, middle, high, "ms"),
        *(theirs, high / theirs, "under 50 ms", high < 50),
    )
