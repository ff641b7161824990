"""Runs a filter without Polars: opens and checks every record, one by one.

The result equals the catalogue's. Each query takes as long as loading the catalogue takes once; only the catalogue has
a snapshot and searches by column, and both need Polars.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any

from store.catalogue.sort import Sort, SortKey
from store.filters.folding import fold
from store.filters.model import Beside, MessageFilter, recipients_text
from store.mail.outcome import Delivered
from store.terms.records import Copy, Row, row_of
from store.terms.sender import address_first
from store.terms.verdicts import Engine, Status

_ENGINES = {engine: number for number, engine in enumerate(Engine)}
_STATUSES = {status: number for number, status in enumerate(Status)}


def first_of(
    copies: Iterable[Copy],
    flt: MessageFilter,
    sort: Sort,
    limit: int | None = None,
    *,
    now: int,
    outcomes: Mapping[int, Delivered] | None = None,
    beside: Mapping[int, Beside] | None = None,
) -> tuple[list[Row], int]:
    """Return the first `limit` list lines (None: all) of the copies that match `flt`, and the number of all matches.

    `now` is Unix ms. `outcomes` and `beside` are keyed by copy id, as for `MessageFilter.matches`; the `beside` of a
    copy must be set by the time `copies` yields it. Only matching lines are held in memory.
    """
    count, beside = 0, {} if beside is None else beside

    def found() -> Iterator[tuple[Any, Row]]:
        nonlocal count
        for copy in copies:
            if flt.matches(copy, now=now, outcomes=outcomes, beside=beside.get(copy.id)):
                count += 1
                yield key(copy), row_of(copy)

    key = _key(sort)
    if limit is None:
        lines = sorted(found(), key=itemgetter(0), reverse=sort.descending)
    else:
        pick = heapq.nlargest if sort.descending else heapq.nsmallest
        lines = pick(max(limit, 1), found(), key=itemgetter(0))[:limit]
    return [row for _key, row in lines], count


def _key(sort: Sort) -> Callable[[Copy], Any]:
    """Return a function for a copy's unique sort key: among equals the newest come first for either direction."""
    if sort.key is SortKey.PLACED:
        return lambda copy: (copy.stored_at, copy.id)
    value = _VALUES[sort.key]
    if sort.descending:
        return lambda copy: (value(copy), copy.stored_at, copy.id)
    return lambda copy: (value(copy), -copy.stored_at, -copy.id)


def _verdict(copy: Copy) -> tuple[int, int]:
    reason = copy.record.reason
    return (_ENGINES[reason.engine], _STATUSES[reason.status]) if reason else (len(_ENGINES), len(_STATUSES))


_VALUES: dict[SortKey, Callable[[Copy], Any]] = {
    SortKey.ENGINE: _verdict,
    SortKey.FROM: lambda copy: address_first(fold(copy.record.from_)),
    SortKey.TO: lambda copy: fold(recipients_text(copy.record)),
    SortKey.SUBJECT: lambda copy: fold(copy.record.subject),
    SortKey.SIZE: lambda copy: copy.record.size,
    SortKey.RULE: lambda copy: copy.record.rule_id,
}
