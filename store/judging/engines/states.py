"""When a scanner is asked: its limits on time and concurrency, and how it is marked up or down.

A message that slows a scanner or breaks its connection must not stop the scanner for the next messages. So a failed
scan never marks the scanner "down" by itself. After a failure the scanner is pinged. If the ping fails, it is down: no
message goes to it for a few seconds, and then it must answer a ping first. If the ping succeeds and the scan failed by
a broken connection, the scan is tried once more, because scanners replace their workers and close idle connections.
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

#: Time limit of a ping, and pause after a scanner was found down, both in seconds.
PING_LIMIT, PAUSE = 2.0, 3.0
#: Seconds without an answer after which `look` pings a scanner that is up.
QUIET = 5.0


class ScannerFailure(Exception):
    """A scanner gave no verdict. `str()` is the reason; it never quotes the message.

    `final`: the scanner declined this message, so neither a second try nor a ping would help.
    """

    def __init__(self, what: str, *, final: bool = False) -> None:
        super().__init__(what)
        self.final = final


@dataclass(slots=True)
class State:
    """State and counts of a scanner. `why` and `since` (Unix ms) are set while it is down.

    `scanned` and `not_scanned` count messages.
    """

    up: bool = True
    why: str = ""
    since: int = 0
    scanned: int = 0
    not_scanned: int = 0


class RemoteScanner(ABC):
    """A scanner in another process, at `where`.

    `time_limit` (seconds) applies to a scan, and again to the wait for a free slot before it.
    """

    #: The engines that depend on this scanner: they get Not scanned for a message that it gives no verdict on.
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
        """Scan one message, without a retry. Raises ScannerFailure, OSError or EOFError."""

    @abstractmethod
    async def _ping(self) -> None:
        """Ping the scanner; return if it answers. Raises ScannerFailure, OSError or EOFError."""

    async def close(self) -> None:  # noqa: B027  # most scanners keep nothing open
        """Close the open connections; most scanners have none."""

    async def scan(self, incoming: Incoming) -> EngineResult:
        """Scan one message. Never raises; returns within twice the time limit plus two pings."""
        try:
            result = await self._scan(incoming)
        except Exception as error:
            log.exception("scanner %s: scanning a message failed with an unexpected error", self.name)
            result = self.not_scanned(f"{self.name} failed: {type(error).__name__}")
        if incoming.truncated and result.scanned and not result.condemned:
            result = self.not_scanned(
                "the message is larger than the gateway accepts, so only its beginning was scanned"
            )
        if result.scanned:
            self.state.scanned += 1
        else:
            self.state.not_scanned += 1
        return result

    async def ping(self) -> str:
        """Ask whether the scanner answers. Return "" if it does, else the reason. Never raises."""
        why = ""
        try:
            async with asyncio.timeout(PING_LIMIT):
                await self._ping()
        except (OSError, EOFError, ScannerFailure) as error:
            why = f"{described(error, PING_LIMIT)} ({self.where})"
        except Exception as error:
            log.exception("scanner %s: pinging it failed with an unexpected error", self.name)
            why = type(error).__name__
        self._became(why)
        return why

    async def look(self) -> None:
        """Ping the scanner if it was silent lately, to notice a failure before the next message does. Never raises."""
        now = time.monotonic()
        if self._asking or now < self._left_alone_until or (self.state.up and now - self._heard_at < QUIET):
            return
        async with self._pinging:
            await self.ping()

    def not_scanned(self, why: str) -> EngineResult:
        """Make the result for a message on which this scanner gave no verdict."""
        verdicts = tuple(Verdict(engine, Status.NOT_SCANNED, why) for engine in self.main_engines)
        return EngineResult(False, verdicts, why, engines=self.engines)

    async def _scan(self, incoming: Incoming) -> EngineResult:
        if not await self._is_up():
            return self._down()
        try:
            if self._turns.locked():
                async with asyncio.timeout(self.time_limit):
                    await self._turns.acquire()
            else:
                await self._turns.acquire()  # Does not wait.
        except TimeoutError:
            return self.not_scanned(f"{self.name} is busy: no connection was free within {self.time_limit:g} s")
        try:
            self._asking += 1
            # It may have gone down while this message waited for its slot.
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
        async with self._pinging:  # one ping serves all waiting messages
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
    """Describe an error without quoting the message."""
    if isinstance(error, TimeoutError):
        return f"no answer within {limit:g} s"
    if isinstance(error, EOFError | ConnectionResetError | BrokenPipeError):
        return "the connection was closed before the answer was complete"
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
