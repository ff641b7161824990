"""One query answered from the catalogue's snapshot, for a command that asks once and ends.

Only the columns that the query needs are read, texts only as they are searched. The list lines come from the database.
Polars is imported on the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.catalogue.keeping import snapshot_path
from store.catalogue.loader import load, spans_of
from store.catalogue.sort import Sort, SortKey
from store.filters.model import MessageFilter
from store.helpers.clock import now_ms
from store.terms.errors import TamperedError
from store.terms.records import Row, row_of

if TYPE_CHECKING:
    from pathlib import Path

    from store.vault.vault import Vault

#: With more new copies than this since the snapshot, loading the whole catalogue in child processes is faster.
_MOST_NEW = 3_000
_SORTED_BY = {
    SortKey.ENGINE: "verdict",
    SortKey.FROM: "from",
    SortKey.TO: "to",
    SortKey.SUBJECT: "subject",
    SortKey.SIZE: "size",
    SortKey.RULE: "rule_id",
}


def needed(flt: MessageFilter, sort: Sort) -> frozenset[str]:
    """Return the columns that a query reads, besides ids and times."""
    names = {_SORTED_BY[sort.key]} if sort.key in _SORTED_BY else set()
    for part in flt.parts():
        for columns, terms in (
            (("size",), (part.size_min, part.size_max) != (None, None)),
            (("rule_id",), part.rule_ids or part.not_rule_ids),
            (("verdict",), part.engines or part.not_engines or part.status or part.not_status),
            (("from",), part.from_),
            (("to",), part.to),
            (("subject",), part.subject),
            (("message_id", "mta_message_id"), part.message_id),
            (("from", "to", "subject"), part.words),
        ):
            if terms:
                names.update(columns)
    return frozenset(names)


def select_once(vault: Vault, flt: MessageFilter, sort: Sort, limit: int) -> tuple[list[Row], int] | None:
    """Return the first `limit` list lines that match the filter, and the number of all matches.

    None if the snapshot cannot answer: use a `Catalogue` then. Raises StoreUnavailable.
    """
    path = snapshot_path(vault)
    if flt.asks_delivered() or flt.asks() or path is None or not _exists(path):
        return None
    from store.catalogue.snapshot import SnapshotError, open_snapshot

    try:
        opened = open_snapshot(vault, path, columns=needed(flt, sort))
        if opened is None:
            return None
        # Imported here: by then Polars is loaded, while parts of the snapshot were unsealed.
        from store.catalogue.follow import Follower
        from store.catalogue.query import mask_of

        follower = Follower(vault)
        after, until = follower.resume(*opened)
    except SnapshotError:
        return None
    if until - after > _MOST_NEW:
        return None
    for loaded in load(vault, spans_of(after, until)):
        follower.add_loaded(loaded.frame, loaded.damaged)
    follower.finish()
    frame = follower.state.frame
    mask = mask_of(frame, flt, now=now_ms())
    positions = frame.orders.shown(mask, sort)
    count = len(frame) if positions is None else len(positions)
    ids = frame.ids.head(limit) if positions is None else frame.ids[positions.slice(0, limit)]
    try:
        return [row_of(copy) for copy in vault.get_many(ids.to_list())], count
    except TamperedError:
        return None


def _exists(path: Path) -> bool:
    """Whether there is a snapshot. Not in a folder that this user may not enter: HOME may be another user's."""
    try:
        return path.exists()
    except OSError:
        return False
