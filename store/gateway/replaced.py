"""Detect that a store's file was replaced by another file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from store.database.connection import is_url

#: Seconds between checks.
_LOOK = 1.0


def identity(location: str) -> tuple[int, int] | None:
    """Return the identity of the file at `location` (device, inode); None if there is none, and for a database URL."""
    if is_url(location):
        return None
    try:
        status = Path(location).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


async def until_replaced(location: str, file: tuple[int, int] | None) -> None:
    """Wait until another file than `file` is at `location`; for ever if that is a database URL."""
    if is_url(location):
        await asyncio.Event().wait()
    while True:
        await asyncio.sleep(_LOOK)
        now = await asyncio.to_thread(identity, location)
        if now is not None and now != file:
            return
