"""Metrics over HTTP for Prometheus: the page /metrics, on this machine only.

Failures here never stop mail: a port in use, a library that does not load or a page that cannot be made is logged, and
tried again. Silent clients are dropped after a few seconds, or earlier if others connect.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Any

from store.gateway.metrics import Metrics
from store.helpers.installed import imported
from store.mail.endpoint import Address
from store.terms.errors import MailholdError, UsageError

#: Seconds: max wait for a request, max time to send a page, and time between tries to listen.
REQUEST_SECONDS, ANSWER_SECONDS, AGAIN_SECONDS = 5.0, 10.0, 15.0
#: Max connections; a further one replaces the oldest.
MOST = 16
#: Max length of a request, in bytes.
LONGEST = 8192

_PATH = "/metrics"
_METHODS = ("GET", "HEAD")
_TEXT = "text/plain; charset=utf-8"
_PAGE = "text/plain; version=0.0.4; charset=utf-8"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}

#: Logs an event, as `store.gateway.log.say`.
Say = Callable[..., None]


def page_of(metrics: Metrics) -> Callable[[], bytes]:
    """Return a function that renders the page. Raises NotInstalled, LibraryBroken."""
    library: Any = imported("[metrics] of mailhold.toml", "gateway", "prometheus_client", "prometheus-client")
    registry = library.CollectorRegistry(auto_describe=False)
    library.ProcessCollector(registry=registry)
    library.PlatformCollector(registry=registry)
    registry.register(metrics)

    def page() -> bytes:
        made: bytes = library.generate_latest(registry)
        return made

    return page


class MetricsServer:
    """Answers GET and HEAD of /metrics with the result of `page`, which runs in a thread."""

    def __init__(self, page: Callable[[], bytes], say: Say) -> None:
        self._page = page
        self._say = say
        self._said = ""
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def listen(self, address: Address) -> int:
        """Start to listen; return the port. Raises UsageError if it cannot."""
        try:
            self._server = await asyncio.start_server(self._serve, address.host, address.port, limit=LONGEST)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise UsageError(f"Metrics cannot listen on {address}: {why}.") from None
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._open) >= MOST:
            oldest = next(iter(self._open))
            self._open.pop(oldest).transport.abort()
            oldest.cancel()
        self._open[task] = writer
        try:
            answer = await self._answer(reader)
            if answer:
                async with asyncio.timeout(ANSWER_SECONDS):
                    writer.write(answer)
                    await writer.drain()
            writer.close()
        except (TimeoutError, ConnectionError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._open.pop(task, None)

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        """Read one request and return the whole response; b"" if no request comes. Raises TimeoutError."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _response(431, b"The request is too long.\n")
        except asyncio.IncompleteReadError:
            return b""
        words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _response(400, b"This is no HTTP request.\n")
        method, target, _version = words
        if target.partition("?")[0] != _PATH:
            return _response(404, f"Only {_PATH} exists.\n".encode(), head_only=method == "HEAD")
        if method not in _METHODS:
            return _response(405, f"{_PATH} is read-only.\n".encode(), f"Allow: {', '.join(_METHODS)}\r\n")
        try:
            page = await asyncio.to_thread(self._page)
        except Exception as error:
            if type(error).__name__ != self._said:
                self._said = type(error).__name__
                self._say("metrics cannot be collected", level=logging.ERROR, error=error)
            return _response(500, b"The metrics could not be collected: see the log of the gateway.\n")
        self._said = ""
        return _response(200, page, kind=_PAGE, head_only=method == "HEAD")


class ServedMetrics:
    """Serves the metrics as soon as this is possible.

    `problem` is the reason why they are not served, or "". `changed` is called with it when it changes.
    """

    def __init__(self, metrics: Metrics, address: Address, say: Say, changed: Callable[[str], None]) -> None:
        self._metrics = metrics
        self._address = address
        self._say, self._changed = say, changed
        self._server: MetricsServer | None = None
        self._trying: asyncio.Task[None] | None = None
        self.problem = ""

    async def start(self) -> None:
        """Listen; if that fails, try again repeatedly in a task. Never raises."""
        if not await self._try():
            self._trying = asyncio.get_running_loop().create_task(self._until_served())

    async def stop(self) -> None:
        """Stop serving."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.gather(self._trying, return_exceptions=True)
        if self._server is not None:
            await self._server.stop()

    async def _until_served(self) -> None:
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            if await self._try():
                return

    async def _try(self) -> bool:
        try:
            server = MetricsServer(await asyncio.to_thread(page_of, self._metrics), self._say)
            await server.listen(self._address)
        except MailholdError as error:
            self._became(str(error))
            return False
        except Exception as error:
            self._became(f"Metrics cannot be served ({type(error).__name__}: {error}).")
            return False
        self._server = server
        self._became("")
        return True

    def _became(self, problem: str) -> None:
        if problem == self.problem:
            return
        self.problem = problem
        if problem:
            self._say("metrics are not served, mail goes on", level=logging.ERROR, why=problem)
        else:
            self._say("metrics are served")
        self._changed(problem)


def _response(code: int, body: bytes, more: str = "", *, kind: str = _TEXT, head_only: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {code} {_REASONS[code]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        f"{more}Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + (b"" if head_only else body)
