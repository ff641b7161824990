"""Check that a store's tables, indexes and triggers are exactly this version's. A store that differs is read-only.

For SQLite, the stored CREATE statements are compared with the release's; for PostgreSQL, one query reads the catalogue
(`store.database.postgresql_tables`). This full comparison runs once per connection, once a minute, and whenever a cheap
query at the start of each write transaction gives a different answer than before.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
from functools import lru_cache

from store.database import postgresql_tables
from store.database.connection import StoreDatabase, run, shown_location, translated
from store.database.modes import ReadOnly
from store.database.orm import SqliteDatabase
from store.database.tables import TABLES
from store.terms.errors import StoreFormat

#: Seconds between full comparisons: whoever changes the schema can set SQLite's `schema_version` back.
AGAIN = 60.0
#: Tables that SQLite creates by itself.
_OWN = frozenset({"sqlite_sequence", "sqlite_stat1"})
#: Maximum rows read: a view in place of sqlite_master could be endless.
_MOST = 1000
_NAME = re.compile(r'CREATE (?P<unique>UNIQUE )?(?P<kind>TABLE|INDEX) "(?P<name>\w+)"(?: ON "(?P<table>\w+)")?')
_ADVICE = "Find out who can write to its database, then restore a backup or undo the change."

Thing = tuple[str, str, str, str | None]


def differences(db: StoreDatabase, tables: tuple[str, ...] = TABLES) -> list[str]:
    """Return a sentence for each difference between the database and `tables`. NOT safe for a terminal."""
    if not isinstance(db, SqliteDatabase):
        return postgresql_tables.differences(db, tables)
    sql = "SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT ?"
    found = {tuple(row) for row in run(db, sql, _MOST).fetchall() if row[1] not in _OWN}
    wanted = _things(tables)
    if found == wanted:
        return []
    names = {thing[1] for thing in wanted}
    said = [f"there is a {kind} {name}" for kind, name, *_ in sorted(found - wanted, key=repr) if name not in names]
    present = {(kind, name) for kind, name, *_ in found}
    for kind, name, *_ in sorted(wanted - found, key=repr):
        said.append(f"the {kind} {name} {'is different' if (kind, name) in present else 'is missing'}")
    return said or ["two objects have the same name"]


def require_tables(db: StoreDatabase, location: str) -> None:
    """Refuse to read a PostgreSQL store in which a view or the like replaces a table.

    Reading it could do anything, and never end. For SQLite, `store.database.authorizing` refuses each such statement.
    Raises StoreFormat.
    """
    if not isinstance(db, SqliteDatabase) and (odd := postgresql_tables.odd(db, TABLES)):
        raise StoreFormat(f"{shown_location(location)} cannot be read: {odd[0]} is not a table. {_ADVICE}")


@lru_cache
def _things(tables: tuple[str, ...]) -> frozenset[Thing]:
    """Return the rows of sqlite_master that `tables` create."""
    things: set[Thing] = set()
    for text in tables:
        parts = _NAME.match(text)
        assert parts is not None, text
        things.add((parts["kind"].lower(), parts["name"], parts["table"] or parts["name"], text))
        if parts["kind"] == "TABLE" and "PRIMARY KEY (" in text and "WITHOUT ROWID" not in text:
            things.add(("index", f"sqlite_autoindex_{parts['name']}_1", parts["name"], None))
    return frozenset(things)


class _Known:
    """What was last seen through a connection.

    `version` changes when another connection commits. `answer` is that of the cheap query, after which the tables were
    compared; that holds `until` a time.
    """

    __slots__ = ("answer", "connection", "number", "until", "version")

    def __init__(self, connection: object, number: int) -> None:
        self.connection = connection
        self.number = number
        self.version: object = None
        self.answer: object = None
        self.until = 0.0


class Watch:
    """Checks the tables of one open store repeatedly. Every method may be called from any thread."""

    def __init__(self, db: StoreDatabase, location: str, tables: tuple[str, ...] = TABLES) -> None:
        self._db = db
        self._location = location
        self.tables = tables
        self._known = threading.local()
        self._numbers = itertools.count()
        #: As of the last write transaction: changes when another connection has committed, or with the connection. None
        #: on PostgreSQL.
        self.others: object = None
        self._readable_until = time.monotonic() + AGAIN

    def look(self) -> ReadOnly | None:
        """Run the full comparison. Returns why the store can only be read, or None if it can be changed."""
        said = differences(self._db, self.tables)
        if not said:
            return None
        more = f" and {len(said) - 3:,} more" if len(said) > 3 else ""
        why = f"its tables are not as Mailhold created them ({', '.join(said[:3])}{more})"
        return ReadOnly(shown_location(self._location), why, _ADVICE)

    def require_readable(self) -> None:
        """Refuse, once a minute on PostgreSQL, to read anything but a table. Raises StoreFormat, StoreUnavailable."""
        now = time.monotonic()
        if now < self._readable_until or isinstance(self._db, SqliteDatabase) or self._db.in_transaction():
            return
        with translated(self._location):
            require_tables(self._db, self._location)
        self._readable_until = now + AGAIN

    def require(self) -> None:
        """Refuse to go on in a write transaction that has just begun if the tables are not ours.

        Raises StoreUnavailable.
        """
        db, now = self._db, time.monotonic()
        connection = db.connection()
        known: _Known | None = getattr(self._known, "of", None)
        if known is None or known.connection is not connection:
            known = self._known.of = _Known(connection, next(self._numbers))
        if isinstance(db, SqliteDatabase):
            [version] = connection.execute("PRAGMA data_version").fetchone()
            self.others = known.number, version
            # This connection changes no table itself (`store.database.authorizing`).
            if version == known.version and now < known.until:
                return
            [answer] = connection.execute("PRAGMA schema_version").fetchone()
        else:
            version, answer = None, postgresql_tables.ours(db, self.tables)
        if answer != known.answer or now >= known.until:
            known.until = 0.0
            why = self.look()
            if why is not None:
                raise why.refusal()
            known.answer, known.until = answer, now + AGAIN
        known.version = version
