"""When a scanner is asked: its limits on time and on questions at once, and what it is when it does not answer.

A message that makes a scanner slow, or breaks its connection, must not keep it from the messages after it. So what
happened to one message never makes a scanner "down": after a failure it is pinged, and only one that does not answer
that is left alone for a few seconds, and then pinged again before it gets mail. Where it does answer and the
connection had broken, the message is tried once more: scanners replace their workers, and close idle connections.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

from store.helpers.clock import now_ms
from store.judging.engines.engine import EngineResult
from store.mail.incoming import Incoming
from store.terms.verdicts import Engine, Status, Verdict

log = logging.getLogger("mailhold.engines")

#: Seconds that a ping may take, and seconds for which a scanner that is down is left alone.
PING_LIMIT, PAUSE = 2.0, 3.0
#: Seconds after which a scanner that nothing was heard of is looked at.
QUIET = 5.0


class ScannerFailure(Exception):
    """A scanner's answer is no verdict. `str` says what it was, in words that hold nothing of the message.

    `final` where the scanner itself declined this message, so that neither another try nor a ping would help.
    """

    def __init__(self, what: str, *, final: bool = False) -> None:
        super().__init__(what)
        self.final = final


@dataclass(slots=True)
class State:
    """How a scanner does. `why` and `since` (Unix ms) say what is wrong while it is not `up`; the rest are counts.

    `seconds` is the time that all scans took together.
    """

    up: bool = True
    why: str = ""
    since: int = 0
    scanned: int = 0
    not_scanned: int = 0
    seconds: float = 0.0


class RemoteScanner(ABC):
    """A scanner in another process, at `where`.

    `time_limit` (seconds) holds for a scan, and for waiting for a turn before it.
    """

    #: The engines that rest on this scanner: these have not scanned a message that it gave no verdict on.
    main_engines: tuple[Engine, ...]
    engines: frozenset[Engine]

    def __init__(self, name: str, where: str, *, time_limit: float, concurrency: int) -> None:
        self.name = name
        self.where = where
        self.time_limit = time_limit
        self.state = State()
        self._turns = asyncio.Semaphore(concurrency)
        self._pinging = asyncio.Lock()
        self._left_alone_until = 0.0
        self._asking = 0
        self._heard_at = float("-inf")

    @abstractmethod
    async def _ask(self, incoming: Incoming) -> EngineResult:
        """Ask about one message, once. Raises ScannerFailure, OSError or EOFError."""

    @abstractmethod
    async def _ping(self) -> None:
        """Return if the scanner answers. Raises ScannerFailure, OSError or EOFError."""

    async def close(self) -> None:  # noqa: B027  # most scanners keep nothing open
        """Give up connections that are kept open; there are none."""

    async def scan(self, incoming: Incoming) -> EngineResult:
        """Ask about one message. Never raises, and answers within twice the time limit and two pings."""
        started = time.monotonic()
        try:
            result = await self._scan(incoming)
        except Exception as error:
            log.exception("%s: a scan failed in a way that was not foreseen", self.name)
            result = self.not_scanned(f"{self.name} failed: {type(error).__name__}")
        if incoming.truncated and result.scanned and not result.condemned:
            result = self.not_scanned("the message is larger than what is taken in, so only its beginning was scanned")
        self.state.seconds += time.monotonic() - started
        if result.scanned:
            self.state.scanned += 1
        else:
            self.state.not_scanned += 1
        return result

    async def ping(self) -> str:
        """Ask whether the scanner answers: "" if it does, else what is wrong. Never raises."""
        why = ""
        try:
            async with asyncio.timeout(PING_LIMIT):
                await self._ping()
        except (OSError, EOFError, ScannerFailure) as error:
            why = f"{described(error, PING_LIMIT)} ({self.where})"
        except Exception as error:
            log.exception("%s: a ping failed in a way that was not foreseen", self.name)
            why = type(error).__name__
        self._became(why)
        return why

    async def look(self) -> None:
        """Ping it if nothing was heard of it lately, so that it is found out before a message is. Never raises."""
        now = time.monotonic()
        if self._asking or now < self._left_alone_until or (self.state.up and now - self._heard_at < QUIET):
            return
        async with self._pinging:
            await self.ping()

    def not_scanned(self, why: str) -> EngineResult:
        """Make the result for a message that this scanner gave no verdict on."""
        verdicts = tuple(Verdict(engine, Status.NOT_SCANNED, why) for engine in self.main_engines)
        return EngineResult(False, verdicts, why, engines=self.engines)

    async def _scan(self, incoming: Incoming) -> EngineResult:
        if not await self._is_up():
            return self._down()
        try:
            async with asyncio.timeout(self.time_limit):
                await self._turns.acquire()
        except TimeoutError:
            return self.not_scanned(f"{self.name} is busy: no turn came within {self.time_limit:g} s")
        try:
            self._asking += 1
            # It may have gone down while this message waited for its turn.
            return await self._take_turn(incoming) if self.state.up else self._down()
        finally:
            self._asking -= 1
            self._turns.release()

    async def _take_turn(self, incoming: Incoming) -> EngineResult:
        deadline = time.monotonic() + self.time_limit
        for last in (False, True):
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    result = await self._ask(incoming)
                self._became("")
                return result
            except (OSError, EOFError, ScannerFailure) as error:
                why = described(error, self.time_limit)
                if isinstance(error, ScannerFailure) and error.final:
                    return self.not_scanned(f"{self.name}: {why}")
                if await self.ping():
                    return self._down()
                if last or isinstance(error, TimeoutError):
                    break
        return self.not_scanned(f"{self.name}: {why}")

    async def _is_up(self) -> bool:
        if self.state.up:
            return True
        if time.monotonic() < self._left_alone_until:
            return False
        async with self._pinging:  # one asks for all
            if not self.state.up and time.monotonic() >= self._left_alone_until:
                await self.ping()
        return self.state.up

    def _down(self) -> EngineResult:
        return self.not_scanned(f"{self.name} is down: {self.state.why}")

    def _became(self, why: str) -> None:
        now = time.monotonic()
        if why:
            self._left_alone_until = now + PAUSE
            if self.state.up:
                self.state.since = now_ms()
        else:
            self._heard_at = now
            self.state.since = 0
        self.state.up = not why
        self.state.why = why


def described(error: Exception, limit: float) -> str:
    """Say what went wrong without quoting the message."""
    if isinstance(error, TimeoutError):
        return f"no answer within {limit:g} s"
    if isinstance(error, EOFError | ConnectionResetError | BrokenPipeError):
        return "the connection was closed before the answer was complete"
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
