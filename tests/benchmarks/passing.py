"""Rotation by age without bloat: a full store's size after ten times its maximum has passed through it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial

from store.authority.settings import Settings
from store.space.changing_settings import change_settings
from store.vault.vault import Vault
from tests.benchmarks import intake, store_maker
from tests.benchmarks.figures import Figure, seconds
from tests.benchmarks.postgres_server import Server, server
from tests.postgres import Missing

#: Copies of 75 kB that fill the store, and how often as many pass through it.
_COPIES, _TIMES = 3_000, 10
_MOST = 1.1


def passing(size: str) -> Iterator[Figure]:
    """Let ten times the maximum pass through a store in SQLite and one in PostgreSQL."""
    location = store_maker.FOLDER / "passing.store"
    with store_maker.own_memory():
        vault = store_maker.new_store(location)
        grown, rate = _passed(vault, lambda: location.stat().st_size)
        vault.close()
        store_maker.remove_store(location)
    yield _grown("SQLite: the file after 10 times its maximum passed, by before", size, grown)
    yield Figure("  put of 75 kB meanwhile, 32 at a time", size, rate, rate, "msg/s")
    try:
        with server() as running, store_maker.own_memory():
            yield from _in_postgresql(running, size, rate)
    except Missing as error:
        yield Figure("PostgreSQL: its size after 10 times", size, None, None, "x", target=str(error)[:34])


def _in_postgresql(running: Server, size: str, base: float) -> Iterator[Figure]:
    name = "passing"
    vault = running.empty(name)
    grown, rate = _passed(vault, partial(_database_bytes, running, name))
    vault.close()
    running.drop(name)
    yield _grown("PostgreSQL: the database after 10 times, by before", size, grown)
    yield Figure("  put of 75 kB meanwhile, 32 at a time", size, rate, rate, "msg/s", base, rate / base)


def _database_bytes(running: Server, name: str) -> int:
    """Return the bytes of a database's folder: tables with what is kept beside them, and indexes."""
    return int(running.ask(f"SELECT pg_catalog.pg_database_size('{name}')")[0][0])


def _passed(vault: Vault, size: Callable[[], int]) -> tuple[float, float]:
    """Fill a vault, and put `_TIMES` as many copies. Returns how `size` grew, and copies a second."""
    messages = itertools.cycle(store_maker.bodies())
    vault.put_many((next(messages), intake.RECORD, None) for _ in range(_COPIES))
    change_settings(vault, Settings(max_size=vault.count().used_bytes))
    before = size()
    batch = [next(messages) for _ in range(_COPIES)]
    taken = sum(seconds(partial(intake.together, vault, batch)) for _ in range(_TIMES))
    return size() / before, _TIMES * _COPIES / taken


def _grown(name: str, size: str, grown: float) -> Figure:
    return Figure(name, size, grown, grown, "x", None, None, f"flat: {_MOST}", grown <= _MOST)
