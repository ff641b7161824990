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
        self._landing: Landing[int] = Landing(self._landed)
        #: Copies that somebody waits for, with the time (s) since when, the longest first.
        self._begun: dict[asyncio.Future[int], tuple[float, Incoming]] = {}
        self._watched = False
        #: Messages whose copies nobody waits for any more: those in `_late` had no result in time, the clients of the
        #: others went away.
        self._left: dict[asyncio.Future[int], Incoming] = {}
        self._late: set[asyncio.Future[int]] = set()

    def of_this_loop(self) -> bool:
        """Return True if the loop that runs is the one in which this was made."""
        return self._landing.loop is asyncio.get_running_loop()

    def begin(self, incoming: Incoming) -> tuple[asyncio.Future[int], Told]:
        """Return a future to `end`, and what to call with its result, from any thread. Raises NotKept."""
        if len(self._late) >= MOST_LATE:
            raise NotKept("store", NO_ANSWER)
        if self._left and _message(incoming) in map(_message, self._left.values()):
            # If both were placed, there would be two copies. One reason for all, else the log alternates between two.
            raise NotKept("store", NO_ANSWER if self._late else _AGAIN)
        future = self._landing.future()
        return future, partial(self._landing.land, future)

    async def end(self, future: asyncio.Future[int], incoming: Incoming) -> int:
        """Wait for the result, `KEEP_SECONDS` at most. Raises NotKept, or whatever the result is.

        If nobody waits any more when the copy becomes durable, its client may send the message again.
        """
        self._begun[future] = self._landing.loop.time(), incoming
        if not self._watched:
            self._watch()
        try:
            return await future
        except asyncio.CancelledError:
            # Otherwise its result is there already, or was noted just now.
            if future.cancelled() and future in self._begun:
                self._left[future] = incoming
            raise
        finally:
            self._begun.pop(future, None)

    def _watch(self) -> None:
        self._watched = True
        self._landing.loop.call_later(KEEP_SECONDS / 12, self._look)

    def _look(self) -> None:
        """Give up waiting for what takes too long. One look for all costs a message less than a timer for each."""
        self._watched = False
        now = self._landing.loop.time()
        for future, (began, incoming) in self._begun.items():
            if now - began < KEEP_SECONDS:
                break
            if not future.done():
                self._left[future] = incoming
                self._late.add(future)
                future.set_exception(NotKept("store", NO_ANSWER))
        if self._begun:
            self._watch()

    def _landed(self, future: asyncio.Future[int], result: int | BaseException) -> None:
        """Note the result of a copy that nobody waits for any more."""
        self._late.discard(future)
        left = self._left.pop(future, None)
        # Whoever waits for one that was cancelled just now does not know it yet.
        _, incoming = self._begun.pop(future, (0.0, left))
        if incoming is not None and not isinstance(result, BaseException):
            incoming.settled(answered=False)


def _message(incoming: Incoming) -> _Message:
    """Tell a message and its envelope from another."""
    return hash(incoming.raw), incoming.sender, tuple(incoming.recipients)
