"""The answer to a filter without Polars: every record is opened and looked at, one after the other.

What it answers is what the catalogue answers. It takes as long for each question as the catalogue takes once, when it
loads; the catalogue's snapshot and its search of columns are what Polars is for.
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
    """Return the first `limit` list lines (None: all) of the copies that `flt` lets through, and how many those are.

    `now` is Unix ms; `outcomes` and `beside` by copy id, as `MessageFilter.matches` takes them: what is `beside` a copy
    must be there when `copies` gives it. Of the others nothing is held.
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
    """Return a copy's sort key, unique: among equals the newest come first in both directions."""
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
