"""Wait for copies to become durable, but not for ever: a database server may hang without closing its connections."""

from __future__ import annotations

import asyncio
from functools import partial

from store.gateway.keeping import NotKept, Told
from store.gateway.landing import Landing
from store.mail.incoming import Incoming

#: Seconds until a message is answered without its copy. An MTA and its clients wait for some minutes.
KEEP_SECONDS = 60.0
#: Copies without a result in time that may be outstanding: then no more are handed in, as each takes memory.
MOST_LATE = 16
_AGAIN = "The copy that was begun when the message came before is still being placed."
NO_ANSWER = f"The store has not answered for {KEEP_SECONDS:.0f} seconds: check the database server and its disk."

_Message = tuple[int, str, tuple[str, ...]]


class Placing:
    """The copies that are being placed. Make it in the event loop's thread, and use it only there."""

    def __init__(self) -> None:
        self._landing: Landing[int] = Landing()
        self._late: set[asyncio.Future[int]] = set()
        #: Messages whose copies nobody waits for any more, because they were late or their clients went away.
        self._left: dict[asyncio.Future[int], _Message] = {}

    def of_this_loop(self) -> bool:
        """Return True if the loop that runs is the one in which this was made."""
        return self._landing.loop is asyncio.get_running_loop()

    def begin(self, incoming: Incoming) -> tuple[asyncio.Future[int], Told]:
        """Return a future to `end`, and what to call with its result, from any thread. Raises NotKept."""
        if len(self._late) >= MOST_LATE:
            raise NotKept("store", NO_ANSWER)
        if self._left and _message(incoming) in self._left.values():
            # If both were placed, there would be two copies. One reason for all, else the log alternates between two.
            raise NotKept("store", NO_ANSWER if self._late else _AGAIN)
        future = self._landing.future()
        return future, partial(self._landing.land, future)

    async def end(self, future: asyncio.Future[int], incoming: Incoming) -> int:
        """Wait for the result, `KEEP_SECONDS` at most. Raises NotKept, or whatever the result is.

        If nobody waits any more when the copy becomes durable, its client may send the message again.
        """
        try:
            await asyncio.wait((future,), timeout=KEEP_SECONDS)
        finally:
            if not future.done():
                self._left[future] = _message(incoming)
                future.add_done_callback(partial(self._landed, incoming))
        if not future.done():
            self._late.add(future)
            raise NotKept("store", NO_ANSWER)
        return future.result()

    def _landed(self, incoming: Incoming, future: asyncio.Future[int]) -> None:
        self._late.discard(future)
        self._left.pop(future, None)
        if not future.cancelled() and future.exception() is None:
            incoming.settled(answered=False)


def _message(incoming: Incoming) -> _Message:
    """Tell a message and its envelope from another."""
    return hash(incoming.raw), incoming.sender, tuple(incoming.recipients)
