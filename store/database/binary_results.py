"""A psycopg cursor whose results come in PostgreSQL's binary format. Import it only where a store is in PostgreSQL.

As text, each byte of a body or a sealed record would be two hexadecimal digits, which both sides convert.
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection, Cursor
from psycopg.pq import Format


class BinaryCursor(Cursor[Any]):
    """A cursor with binary results."""

    def __init__(self, connection: Connection[Any], **options: Any) -> None:
        super().__init__(connection, **options)
        self.format = Format.BINARY
