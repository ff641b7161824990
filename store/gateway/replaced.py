"""A store that is a file: whether another one lies in its place."""

from __future__ import annotations

import asyncio
from pathlib import Path

from store.database.connection import is_url

#: Seconds between looks.
_LOOK = 1.0


def identity(location: str) -> tuple[int, int] | None:
    """Return what identifies the file at `location` (device, inode); None for no file, and for a database's URL."""
    if is_url(location):
        return None
    try:
        status = Path(location).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


async def until_replaced(location: str, file: tuple[int, int] | None) -> None:
    """Wait until another file than `file` lies at `location`; for ever where that is a database's URL."""
    if is_url(location):
        await asyncio.Event().wait()
    while True:
        await asyncio.sleep(_LOOK)
        now = await asyncio.to_thread(identity, location)
        if now is not None and now != file:
            return
