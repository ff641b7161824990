"""A SQLite store as a file: its layout, which only a new one is given, and whose file one is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from store.database.connection import PAGE_SIZE, is_url


def lay_out(location: str) -> None:
    """Give the empty file of a new SQLite store its layout, before anything connects to it. PostgreSQL needs none.

    Setting `auto_vacuum` takes the write lock and counts as a change, whatever it was before.
    """
    if is_url(location):
        return
    with closing(sqlite3.connect(Path(location).absolute())) as connection:
        # In this order: journal_mode writes the file's first page.
        for each in (f"page_size={PAGE_SIZE}", "auto_vacuum=INCREMENTAL", "journal_mode=WAL"):
            connection.execute(f"PRAGMA {each}")


def application_id(path: Path) -> int | None:
    """Whose file of SQLite `path` says that it is; None where it is none. Nothing is written and nothing waited for.

    SQLite reads it: a file that this process opens itself takes, when it is closed, the locks of all connections that
    the process has to it. Another process then removes the log under them, and they write over the store.
    """
    connection = None
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
        # Else a file that is shorter than it says, for which its log has the rest, is none: its disk was full.
        connection.execute("PRAGMA writable_schema=ON")
        [found] = connection.execute("PRAGMA application_id").fetchone()
        return int(found)
    except sqlite3.Error:
        return None
    finally:
        if connection is not None:
            connection.close()
