"""Let PostgreSQL reuse the space of deleted rows soon enough that a store at its maximum size does not grow.

A deleted row keeps its place until VACUUM frees it. The server does that by itself once a fifth of a table is deleted,
and looks for such tables once a minute. Both are too late for a store through which much mail passes.
"""

from __future__ import annotations

import re

from store.database.connection import PostgresStore, StoreDatabase, run

#: Tables whose rows come and go with the copies. PostgreSQL keeps large values in a table beside each.
_TABLES = ("message", "body", "derived", "tombstone", "state", "head", "pending")
#: Share of a table that is deleted before the server vacuums it by itself.
_SHARE = "autovacuum_vacuum_scale_factor = 0.02"
_WITH = f"WITH ({_SHARE}, toast.{_SHARE})"
_WITHOUT_LARGE = f"WITH ({_SHARE})"
#: INDEX_CLEANUP: without it VACUUM may leave a fiftieth of a table. TRUNCATE off: the end of a table is filled again at
#: once, and cutting it off would lock the table.
_VACUUM = f"VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON, TRUNCATE OFF) {', '.join(_TABLES)}"

_TABLE = re.compile(r'CREATE TABLE "(\w+)"')


def settings_of(statement: str) -> str:
    """Return what `statement` needs at its end to make a table that the server vacuums early; "" for other tables."""
    found = _TABLE.match(statement)
    if found is None or found[1] not in _TABLES:
        return ""
    return f" {_WITHOUT_LARGE if found[1] == 'state' else _WITH}"


def vacuum(db: StoreDatabase) -> None:
    """Free the space of deleted rows, in PostgreSQL only. Readers and writers go on meanwhile.

    Call it outside of a transaction. A table that somebody else vacuums just now is left out, and so is one that
    belongs to another database user: only the server's own VACUUM serves that.
    """
    if isinstance(db, PostgresStore):
        run(db, _VACUUM)
