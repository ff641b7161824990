"""The catalogue's expected answers, computed in a slow and plain way, and a strategy for sort orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import strategies as st

from store.catalogue.catalogue import Sort, SortKey
from store.filters.line import MessageFilter
from store.filters.model import Beside
from store.mail.outcome import Delivered
from store.terms.records import Copy
from store.terms.sender import address_first
from store.terms.verdicts import Engine, Status
from tests.store.filters.filter_model import NOW, holds, same, searched_as_to

sorts = st.builds(Sort, st.sampled_from(SortKey), st.booleans())


def _key(sort: Sort, copy: Copy) -> object:
    record, reason = copy.record, copy.record.reason
    keys = {
        SortKey.PLACED: (copy.stored_at, copy.id),
        SortKey.ENGINE: (list(Engine).index(reason.engine), list(Status).index(reason.status)) if reason else (99, 99),
        SortKey.FROM: address_first(same(record.from_)),
        SortKey.TO: same(searched_as_to(record)),
        SortKey.SUBJECT: same(record.subject),
        SortKey.SIZE: record.size,
        SortKey.RULE: record.rule_id,
    }
    return keys[sort.key]


def expected(
    copies: Iterable[Copy],
    flt: MessageFilter,
    sort: Sort,
    *,
    now: int = NOW,
    outcomes: Mapping[int, Delivered] | None = None,
    beside: Mapping[int, Beside] | None = None,
) -> list[Copy]:
    """Return the copies that pass the filter, in order."""
    beside = beside or {}
    found = [copy for copy in copies if holds(flt, copy, now=now, outcomes=outcomes, beside=beside.get(copy.id))]
    found.sort(key=lambda copy: (copy.stored_at, copy.id), reverse=True)
    return sorted(found, key=lambda copy: _key(sort, copy), reverse=sort.descending)
