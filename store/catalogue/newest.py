"""Runs a filter over the newest copies, straight from the database, until the catalogue is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from store.campaigns.standing import Standing
from store.catalogue.beside import besides
from store.catalogue.selection import RowSelection
from store.catalogue.sort import Sort, SortKey
from store.filters.model import MessageFilter
from store.mail.outcome import Delivered
from store.terms.records import row_of

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: The number of newest copies that are searched.
FIRST_ROWS = 200


def select_newest(
    vault: Vault,
    flt: MessageFilter,
    sort: Sort,
    *,
    now: int,
    outcomes: Mapping[int, Delivered],
    standing: Standing,
) -> RowSelection:
    """Return those of the newest copies that match the filter. Raises StoreUnavailable.

    A sort by time placed is honoured; for any other sort the newest come first.
    """
    copies = vault.newest(FIRST_ROWS, on_error=lambda _copy_id, _error: None)
    total = max(vault.count().messages, len(copies))
    beside = besides(vault, standing, flt, [copy.id for copy in copies])
    found = [copy for copy in copies if flt.matches(copy, now=now, outcomes=outcomes, beside=beside.get(copy.id))]
    found.sort(key=lambda copy: (copy.stored_at, copy.id), reverse=sort.descending or sort.key is not SortKey.PLACED)
    return RowSelection(
        [row_of(copy) for copy in found],
        total=total,
        partial=len(copies) < total,
        high_water=max((copy.id for copy in copies), default=0),
        unread=sum(not one.looked for one in beside.values()),
    )
