"""Commands and replies over a connection that aiosmtplib opened: several commands in one write, one wait for all.

aiosmtplib connects, starts TLS, greets and logs in. It sends one command at a time, though, and drops replies that
arrive together. So after the login this protocol takes over its transport, and sends a transaction's commands as
PIPELINING allows (RFC 2920). Errors are aiosmtplib's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from aiosmtplib import SMTPReadTimeoutError, SMTPResponse, SMTPResponseException, SMTPServerDisconnected

#: Longest reply (bytes), so that a server cannot fill the memory.
MAX_RESPONSE = 32 * 1024
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


class Conversation(asyncio.Protocol):
    """One task at a time may ask. `lost` is why the connection ended, None while it is open."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._buffer = bytearray()
        #: Of the reply that has not arrived completely: its bytes that were read, and their lines.
        self._seen = 0
        self._lines: list[bytes] = []
        self._replies: list[SMTPResponse] = []
        self._expected = 0
        self._waiter: asyncio.Future[None] | None = None
        self._patience = self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.lost: Exception | None = None
        transport.set_protocol(self)

    @property
    def connected(self) -> bool:
        """Whether the connection is open, as far as known."""
        return self.lost is None and not self._transport.is_closing()

    async def ask(self, commands: Sequence[bytes], timeout: float) -> list[SMTPResponse]:
        """Send commands (without CRLF) in one write; return the reply to each. `timeout` (seconds) is for each reply.

        If the connection ends before all have arrived, returns those that have. Raises SMTPServerDisconnected if none
        has, SMTPReadTimeoutError, SMTPResponseException for what is no reply, and ValueError, before anything is sent,
        for a command with a control character.
        """
        if any(map(_CONTROL.search, commands)):
            raise ValueError("a command has a control character")
        return await self.say(b"\r\n".join((*commands, b"")), len(commands), timeout)

    async def say(self, data: bytes, expected: int, timeout: float) -> list[SMTPResponse]:
        """Send `data` as it is, and return so many replies; otherwise as `ask`. Raises SMTPServerDisconnected."""
        if not self.connected:
            raise SMTPServerDisconnected("Connection lost")
        self._buffer.clear()
        self._seen, self._lines, self._replies, self._expected = 0, [], [], expected
        self._waiter = self._loop.create_future()
        self._transport.write(data)
        self._patience = timeout
        self._deadline = self._loop.time() + timeout
        if self._timer is None or self._timer.when() > self._deadline:
            self._arm()
        try:
            await self._waiter
        finally:
            self._waiter, self._expected = None, 0
        if self._replies:
            return self._replies
        raise self.lost or SMTPServerDisconnected("Connection lost")

    def close(self) -> None:
        """Close the connection."""
        self._end(None)
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Take in replies. What arrives while none is expected is ignored, so that it is not taken for a later one."""
        if not self._expected or self._waiter is None or self._waiter.done():
            return
        self._buffer += data
        try:
            self._take()
        except SMTPResponseException as error:
            self._waiter.set_exception(error)
            return
        if len(self._replies) >= self._expected:
            self._waiter.set_result(None)

    def eof_received(self) -> bool:
        """Note that the server closed the connection."""
        self._end(SMTPServerDisconnected("Unexpected EOF received"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note why the connection ended."""
        error = SMTPServerDisconnected("Connection lost")
        error.__cause__ = exc
        self._end(error)

    def _take(self) -> None:
        while len(self._replies) < self._expected and (end := self._buffer.find(b"\n", self._seen)) >= 0:
            line = bytes(self._buffer[self._seen : end + 1])
            self._seen = end + 1
            code = line[:3]
            if not code.isdigit():
                text = line.decode("utf-8", errors="ignore")
                raise SMTPResponseException(-1, f"Malformed SMTP response line: {text}")
            self._lines.append(line[4:].strip(b" \t\r\n"))
            if line[3:4] == b"-":
                continue
            self._replies.append(SMTPResponse(int(code), b"\n".join(self._lines).decode("utf-8", "surrogateescape")))
            self._lines = []
            del self._buffer[: self._seen]
            self._seen = 0
            self._deadline = self._loop.time() + self._patience
        if len(self._buffer) > MAX_RESPONSE:
            raise SMTPResponseException(-1, "Response too long")

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        """Give up a wait whose time is over; one timer serves many waits, because each moves the deadline only."""
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() < self._deadline:
            self._arm()
        else:
            self._waiter.set_exception(SMTPReadTimeoutError("Timed out waiting for server response"))

    def _end(self, error: Exception | None) -> None:
        self.lost = self.lost or error or SMTPServerDisconnected("Connection lost")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
