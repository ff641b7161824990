"""Layout of a new SQLite store's file, and which program an existing SQLite file belongs to."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from store.database.connection import PAGE_SIZE, is_url


def lay_out(location: str) -> None:
    """Set the layout of a new SQLite store's empty file, before anything connects to it. Does nothing for PostgreSQL.

    Only for new files: setting `auto_vacuum` takes the write lock and writes, even if the value stays the same.
    """
    if is_url(location):
        return
    with closing(sqlite3.connect(Path(location).absolute())) as connection:
        # journal_mode last: it writes the file's first page, which the other two lay out.
        for each in (f"page_size={PAGE_SIZE}", "auto_vacuum=INCREMENTAL", "journal_mode=WAL"):
            connection.execute(f"PRAGMA {each}")


def application_id(path: Path) -> int | None:
    """Return a SQLite file's application_id, None if it is not a SQLite file. Writes nothing and does not block.

    Reads it through SQLite. If this process opened the file itself, closing it would drop the locks of all the
    process's connections to it; another process could then remove the log in use, and they would corrupt the store.
    """
    connection = None
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
        # Accept a file shorter than its header says. After a full disk, the log holds the missing pages.
        connection.execute("PRAGMA writable_schema=ON")
        [found] = connection.execute("PRAGMA application_id").fetchone()
        return int(found)
    except sqlite3.Error:
        return None
    finally:
        if connection is not None:
            connection.close()
