"""Counters of mail from and to each sender, stored under keyed hashes instead of addresses.

All gateways of a store add to the same rows of `known`, each in a transaction, so that no addition is lost. Counts
halve every 30 days. A counter is deleted when less than an eighth of a message is left, and earlier if there are too
many counters. Rows are not signed: whoever can write to the database can restore an old row, and whoever has the
counter key can forge any.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from store.database.connection import ABSURD, as_bytes, run, run_many
from store.sealing.counting import Count, open_count, seal_count, tag_of
from store.terms.errors import TamperedError
from store.vault.reader import Reader

#: Days after which mail counts half, and days for which counters under a replaced key are still read.
HALF, OLD = 30, 90
#: Maximum number of counters; if there are more, all but KEPT percent of it are deleted.
MOST, KEPT = 200_000, 96
#: A counter with less than this (messages) left is deleted.
_LEAST = 0.125
#: Counters changed, or rows deleted, per transaction.
GROUP = 500
#: Tags per query: for one sender, for more, and when all are listed.
_FEW, _READ_AT_ONCE, _TAGS_AT_ONCE = 3, 8, 10_000
_BEGIN = 8

#: A kind of counter (`store.sealing.counting`), and the key of an address or domain.
Key = tuple[str, str]

_READ_FEW = "SELECT n, tag, sealed FROM known WHERE tag IN (?, ?, ?)"
_READ = "SELECT n, tag, sealed FROM known WHERE tag IN (?, ?, ?, ?, ?, ?, ?, ?)"
_WRITE = (
    "INSERT INTO known (n, tag, day, sealed) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (tag) DO UPDATE SET n = excluded.n, day = excluded.day, sealed = excluded.sealed"
)
_REMOVE = "DELETE FROM known WHERE tag = ?"
_BYTES = "SELECT COALESCE(SUM(LENGTH(tag) + LENGTH(sealed)), 0) FROM known"
_COUNT = "SELECT COUNT(*), MIN(n), MIN(day) FROM known"
_ANY = "SELECT 1 FROM known LIMIT 1"
_FADED = "SELECT tag FROM known WHERE day < ? ORDER BY day LIMIT ?"
_SMALLEST = "SELECT tag FROM known ORDER BY day, tag LIMIT ?"
_FORMER = "SELECT tag FROM known WHERE n < ? LIMIT ?"
_LASTING = "SELECT tag FROM known WHERE n < ? AND day > ? LIMIT ?"
_NEXT = "SELECT n, tag, day, sealed FROM known WHERE tag > ? ORDER BY tag LIMIT ?"
_TAGS = "SELECT tag FROM known WHERE tag > ? ORDER BY tag LIMIT ?"
_SHORTEN = "UPDATE known SET day = ? WHERE tag = ?"


class _Generation(NamedTuple):
    number: int
    key: bytes


class Known:
    """The counters of a store. Every method may be called from any thread, and blocks."""

    def __init__(self, vault: Reader) -> None:
        self._vault = vault
        self._generations: tuple[_Generation, ...] = ()

    def refresh(self) -> None:
        """Read which counter keys are in force. Raises TamperedError, UnlockError, StoreUnavailable."""
        grants = self._vault.grants
        with self._vault.reading():
            newest = grants.newest()
            if self._generations and self._generations[0].number == newest:
                return
            found = [_Generation(newest, bytes(grants.keys(newest).counter))]
            if newest > 1:
                try:
                    found.append(_Generation(newest - 1, bytes(grants.keys(newest - 1).counter)))
                except TamperedError:
                    pass  # A gateway enrolled later was not granted the former key.
        self._generations = tuple(found)

    def counts(self, wanted: Sequence[Key], day: int) -> list[Count]:
        """Return each counter's value on `day` (days since 1970); zero for missing or damaged ones.

        Raises TamperedError where there is no key, UnlockError, StoreUnavailable.
        """
        if not self._generations:
            self.refresh()
        with self._vault.reading():
            found = self._read(wanted, day)
        return [_sum(found.get(key, ()), day) for key in wanted]

    def begins(self) -> array[int]:
        """List the first 8 bytes of all tags as numbers, ascending, for `likely`. At most 1.6 MB.

        Raises TamperedError where there is no key, UnlockError, StoreUnavailable.
        """
        self.refresh()
        found, last = array("Q"), b""
        while True:
            with self._vault.reading():
                tags = [as_bytes(tag) for (tag,) in run(self._vault.db, _TAGS, last, _TAGS_AT_ONCE).fetchall()]
            found.extend(int.from_bytes(tag[:_BEGIN], "big") for tag in tags)
            if len(tags) < _TAGS_AT_ONCE:
                return array("Q", sorted(found))
            last = tags[-1]

    def likely(self, begins: array[int], kind: str, names: Iterable[str]) -> list[str]:
        """Return those names that probably have a counter, by `begins`. Takes 2 µs a name; `counts` takes 30.

        A name without a counter is returned only in the rare case that its first 8 bytes match. Raises what `refresh`
        does.
        """
        if not begins:
            return []
        if not self._generations:
            self.refresh()
        found = []
        for name in names:
            for each in self._generations:
                begin = int.from_bytes(tag_of(each.key, kind, name)[:_BEGIN], "big")
                at = bisect_left(begins, begin)
                if at < len(begins) and begins[at] == begin:
                    found.append(name)
                    break
        return found

    def add(self, deltas: Mapping[Key, tuple[float, float]], day: int) -> None:
        """Add messages (authenticated, others) to counters, `GROUP` counters per transaction.

        Moves counters under the former key to the current one. Raises TamperedError where there is no key, UnlockError,
        StoreUnavailable.
        """
        self.refresh()
        items = list(deltas.items())
        for at in range(0, len(items), GROUP):
            with self._vault.write(quiet=True):
                self._add(dict(items[at : at + GROUP]), day)

    def tidy(self, day: int) -> None:
        """Delete faded counters, those under keys older than the former one, and the smallest beyond `MOST`.

        Counters under the former key are deleted after `OLD` days. Raises TamperedError where there is no key,
        UnlockError, StoreUnavailable.
        """
        self.refresh()
        newest, db = self._generations[0].number, self._vault.db
        with self._vault.reading():
            count, oldest, faded = run(db, _COUNT).fetchone()
        if not count:
            return
        if faded < day:
            self._remove(_FADED, day)
        if oldest < newest:
            self._remove(_FORMER, newest - 1)
            self._shorten(newest, day + OLD)
        with self._vault.reading():
            count = run(db, _COUNT).fetchone()[0]
        over = count - MOST * KEPT // 100 if count > MOST else 0
        while over > 0:
            with self._vault.write(quiet=True):
                self._delete(run(db, _SMALLEST, min(over, GROUP)).fetchall())
            over -= GROUP

    # The methods below need an open transaction or `Session.reading`, except `_remove` and `_shorten`, which open their
    # own.

    def _read(self, wanted: Iterable[Key], day: int) -> dict[Key, list[Count]]:
        """Read each counter under every key generation in use."""
        generations, db, store_id = self._generations, self._vault.db, self._vault.store_id
        tags = {tag_of(each.key, *key): (key, each) for key in wanted for each in generations}
        names, found = list(tags), dict[Key, list[Count]]()
        sql, size = (_READ_FEW, _FEW) if len(names) <= _FEW else (_READ, _READ_AT_ONCE)
        for at in range(0, len(names), size):
            some = names[at : at + size]
            padded = (*some, *(b"",) * (size - len(some)))
            for number, stored, sealed in run(db, sql, *padded).fetchall():
                try:
                    tag = as_bytes(stored)
                    key, of = tags[tag]
                    count = open_count(of.key, store_id, of.number, tag, as_bytes(sealed))
                    if number == of.number and (of is generations[0] or day - count.day <= OLD):
                        found.setdefault(key, []).append(count)
                except (TamperedError, *ABSURD):
                    continue  # Treated as zero, and overwritten with the next message.
        return found

    def _add(self, deltas: Mapping[Key, tuple[float, float]], day: int) -> None:
        newest, *former = self._generations
        before, store_id = self._read(deltas, day), self._vault.store_id
        rows = []
        for key, (authenticated, other) in deltas.items():
            left = _sum(before.get(key, ()), day)
            count = Count(left.day, left.authenticated + authenticated, left.other + other)
            tag = tag_of(newest.key, *key)
            sealed = seal_count(newest.key, store_id, newest.number, tag, count)
            rows.append((newest.number, tag, fades(count), sealed))
        run_many(self._vault.db, _WRITE, rows)
        gone = [(tag_of(each.key, *key),) for each in former for key, found in before.items() if found]
        if gone:
            run_many(self._vault.db, _REMOVE, gone)

    def _remove(self, sql: str, value: int) -> None:
        while True:
            with self._vault.write(quiet=True):
                tags = run(self._vault.db, sql, value, GROUP).fetchall()
                self._delete(tags)
            if len(tags) < GROUP:
                return

    def _shorten(self, newest: int, last: int) -> None:
        """Let counters under former keys fade by the day `last` at the latest."""
        while True:
            with self._vault.write(quiet=True):
                tags = run(self._vault.db, _LASTING, newest, last, GROUP).fetchall()
                if tags:
                    run_many(self._vault.db, _SHORTEN, [(last, as_bytes(tag)) for (tag,) in tags])
            if len(tags) < GROUP:
                return

    def _delete(self, tags: Sequence[tuple[object]]) -> None:
        if tags:
            run_many(self._vault.db, _REMOVE, [(as_bytes(tag),) for (tag,) in tags])


def problems(vault: Reader) -> Iterator[tuple[str, str]]:
    """Report how many counters do not open, if any: (what, why). Raises UnlockError, StoreUnavailable."""
    last, seen, bad = b"", 0, 0
    while True:
        with vault.reading():
            found = run(vault.db, _NEXT, last, GROUP).fetchall()
        for number, stored, _, sealed in found:
            seen += 1
            try:
                last = as_bytes(stored)
                key = vault.grants.keys(number).counter
                open_count(key, vault.store_id, number, last, as_bytes(sealed))
            except (TamperedError, *ABSURD):
                bad += 1
        if len(found) < GROUP:
            break
    if bad:
        yield (
            "known senders",
            f"{bad:,} of {seen:,} counters cannot be read; they are ignored and counted again from zero",
        )


def fades(count: Count) -> int:
    """Compute the day from which less than an eighth of a message is left of a counter."""
    total = max(count.authenticated + count.other, _LEAST)
    return count.day + math.ceil(HALF * math.log2(total / _LEAST))


def left_of(count: Count, day: int) -> Count:
    """Decay a counter to a later `day`."""
    days = day - count.day
    if days <= 0:
        return count
    share = math.pow(0.5, days / HALF)
    return Count(day, count.authenticated * share, count.other * share)


def _sum(counts: Iterable[Count], day: int) -> Count:
    authenticated = other = 0.0
    for each in counts:
        left = left_of(each, day)
        authenticated += left.authenticated
        other += left.other
        day = max(day, left.day)
    return Count(day, authenticated, other)


def any_known(vault: Reader) -> bool:
    """Return whether the store has any counter. Raises StoreUnavailable."""
    with vault.reading():
        return run(vault.db, _ANY).fetchone() is not None


def known_bytes(vault: Reader) -> int:
    """Sum the bytes of all counters: at most some 20 MB, not part of the maximum size. Raises StoreUnavailable.

    Reads every row.
    """
    with vault.reading():
        return int(run(vault.db, _BYTES).fetchone()[0])
