"""The event loops that a gateway may run in: asyncio's own and, where it is installed, uvloop's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from store.gateway.event_loop import factory

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
OWN: Mapping[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
ALL: Mapping[str, LoopFactory] = {**OWN, **({"uvloop": found} if (found := factory()) is not None else {})}


def for_file(path: Path, both: Collection[str]) -> Mapping[str, LoopFactory]:
    """Return the loops for the tests of a file: all for those named in `both`."""
    return ALL if path.name in both else OWN
