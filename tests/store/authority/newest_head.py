"""Reads a writer's newest head."""

from __future__ import annotations

from store.authority.heads import Vector, head_rows, verified_head
from store.vault.reader import Reader


def read_head(vault: Reader, writer: int) -> Vector | None:
    """Read a writer's newest head, verified; None if it has none. Raises TamperedError."""
    with vault.reading():
        rows = head_rows(vault)
    return next((verified_head(vault, *row).vector for row in rows if row[0] == writer), None)
