"""How much mail of each sender was let through, and how much was written to him: counters under keyed hashes.

The rows of `known` are shared by all gateways of a store: what each counted is added to them in a transaction, so that
nothing is lost that another one added. Old mail counts less, half after 30 days; a counter goes when less than an
eighth of a message is left of it, and before the others where there are too many. Nothing signs a row: who writes the
database can put back an old one, and who has the counter key makes up any.
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

DAY_MS = 24 * 3600 * 1000
#: Days after which mail counts half, and for which counters are read after their key was replaced.
HALF, OLD = 30, 90
#: Counters that are kept; where there are more, so many of a hundred stay.
MOST, KEPT = 200_000, 96
#: What is left of a counter when it goes.
_LEAST = 0.125
#: Counters that one transaction changes, and rows that one removes.
GROUP = 500
#: Tags that one statement asks for: those of one sender, or more.
_FEW, _READ_AT_ONCE, _TAGS_AT_ONCE = 3, 8, 10_000
_BEGIN = 8

#: Of a kind (`store.sealing.counting`), and the key of an address or a domain.
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
    """The counters of a store, with the keys at hand. Every method may be called from any thread, and blocks."""

    def __init__(self, vault: Reader) -> None:
        self._vault = vault
        self._generations: tuple[_Generation, ...] = ()

    def refresh(self) -> None:
        """Find out which counter key is in force. Raises TamperedError, UnlockError, StoreUnavailable."""
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
                    pass  # A gateway that was enrolled later has no key to it.
        self._generations = tuple(found)

    def counts(self, wanted: Sequence[Key], day: int) -> list[Count]:
        """Return what is left of each counter on `day` (days since 1970); nothing for missing or damaged ones.

        Raises TamperedError where there is no key, UnlockError, StoreUnavailable.
        """
        if not self._generations:
            self.refresh()
        with self._vault.reading():
            found = self._read(wanted, day)
        return [_sum(found.get(key, ()), day) for key in wanted]

    def begins(self) -> array[int]:
        """List the first bytes of all tags, ascending, for `likely`. At most 1.6 MB.

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
        """Those of the names that have a counter, as `begins` tells: 2 µs a name, where `counts` takes 30.

        Few have that are none. Raises what `refresh` does.
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
        """Add messages (authenticated, others) to counters, `GROUP` of them a transaction.

        Those under the former key go over to the one in force. Raises TamperedError where there is no key, UnlockError,
        StoreUnavailable.
        """
        self.refresh()
        items = list(deltas.items())
        for at in range(0, len(items), GROUP):
            with self._vault.write(quiet=True):
                self._add(dict(items[at : at + GROUP]), day)

    def tidy(self, day: int) -> None:
        """Remove what has faded, what is under keys before the former one, and the oldest and smallest beyond `MOST`.

        What is under the former key goes after `OLD` days. Raises TamperedError where there is no key, UnlockError,
        StoreUnavailable.
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

    # --- In a transaction, or a reading -------------------------------------------------------------------------------

    def _read(self, wanted: Iterable[Key], day: int) -> dict[Key, list[Count]]:
        """Read each counter under every generation of the key that counts."""
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
                    continue  # It counts for nothing, and is written anew with the next message.
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
        """Have what is under former keys fade by the day `last`, for those that were let last longer."""
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
    """Say how many counters do not open, where any do not: (what, why). Raises UnlockError, StoreUnavailable."""
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
        yield "known senders", f"{bad:,} of {seen:,} counters do not open: they count for nothing, and are made anew"


def fades(count: Count) -> int:
    """Compute the day on which less than an eighth of a message is left of a counter."""
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


def known_bytes(vault: Reader) -> int:
    """Sum the bytes of all counters: at most some 20 MB, outside the maximum. Reads all. Raises StoreUnavailable."""
    with vault.reading():
        return int(run(vault.db, _BYTES).fetchone()[0])
