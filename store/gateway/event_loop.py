"""Run the gateway in uvloop's event loop where that is installed (extra `gateway`), else in asyncio's own."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from store.gateway.log import say
from store.helpers.installed import imported
from store.terms.errors import LibraryBroken, NotInstalled


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end. Raises what it raises."""
    with asyncio.Runner(loop_factory=factory()) as runner:
        runner.run(main)


def factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's function that makes an event loop; None if it is not installed or does not load."""
    try:
        library: Any = imported("The gateway", "gateway", "uvloop", "uvloop")
    except NotInstalled:
        return None
    except LibraryBroken as error:
        say("uvloop is not used", level=logging.WARNING, error=error)
        return None
    made: Callable[[], asyncio.AbstractEventLoop] = library.new_event_loop
    return made


def settle() -> None:
    """Take what exists at the end of the start out of the garbage collection, which would look at it again and
    again.
    """
    gc.collect()
    gc.freeze()
