"""clamd: one INSTREAM request per message, in sessions that are kept, and the release date of its databases.

Written here, because the protocol fits on a page: the asyncio client library for it speaks TCP only, and passes each
KiB of a message through a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
import time
from datetime import datetime
from functools import partial

from store.judging.engines.connections import Connection, Connections
from store.judging.engines.engine import EngineResult, words
from store.judging.engines.states import PING_LIMIT, RemoteScanner, ScannerFailure
from store.judging.scanner_words import verdict_of_signature
from store.mail.endpoint import connected, parse_address
from store.mail.incoming import Incoming
from store.terms.findings import heaviest
from store.terms.verdicts import Engine, Status, Verdict

_CHUNK = 1024 * 1024
#: Max length of an answer, in bytes.
_ANSWER_LIMIT = 64 * 1024
#: Seconds after which the release date of the databases is read again.
VERSION_VALID = 60.0
#: Sent before each message. clamd decodes attachments only if the data begins with a header field that it knows; this
#: line, the first of an mbox file, makes it treat any data as a message.
_ENVELOPE = b"From mailhold\n"
_VERSION = re.compile(r"ClamAV [^/]+/\d+/(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})$")


class Clamd(RemoteScanner):
    """clamd at ``unix:/path`` or ``host:port``. Its phishing heuristics count as Anti-Phishing. Raises UsageError."""

    main_engines = (Engine.ANTI_VIRUS,)
    engines = frozenset((Engine.ANTI_VIRUS, Engine.ANTI_PHISHING))

    def __init__(self, address: str, *, name: str = "clamd", time_limit: float = 60.0, concurrency: int = 8) -> None:
        self._address = parse_address(address)
        super().__init__(name, str(self._address), time_limit=time_limit, concurrency=concurrency)
        self._connections = Connections(self._address)
        self._database_date = 0
        self._version_until = 0.0

    async def _ask(self, incoming: Incoming) -> EngineResult:
        if time.monotonic() >= self._version_until:
            answer, _ = await asyncio.gather(self._scanned(incoming.raw), self._read_version())
        else:
            answer = await self._scanned(incoming.raw)
        if answer.endswith(" ERROR"):
            # All errors of clamd are final, most often its size limit: the same message would fail again.
            raise ScannerFailure(words(answer.removeprefix("stream: ").removesuffix(" ERROR")), final=True)
        name = answer.removeprefix("stream: ")
        if answer == "stream: OK":
            verdict = Verdict(Engine.ANTI_VIRUS, Status.CLEAN)
        elif answer.startswith("stream: ") and name.endswith(" FOUND"):
            verdict = verdict_of_signature(words(name.removesuffix(" FOUND")))
        else:
            raise ScannerFailure("its answer is invalid")
        found = heaviest([(verdict.detail, None)] if verdict.detail else [])
        date = self._database_date
        return EngineResult(True, (verdict,), database_date=date, engines=self.engines, symbols=found)

    async def _scanned(self, raw: bytes) -> str:
        """Return the answer about a message."""
        return await self._connections.request(partial(_instream, raw))

    async def close(self) -> None:
        """Close the sessions."""
        self._connections.close()

    async def _read_version(self) -> None:
        """Read the release date of the databases. On failure the last known date stays."""
        self._version_until = time.monotonic() + VERSION_VALID
        with contextlib.suppress(OSError, EOFError, ScannerFailure):
            async with asyncio.timeout(PING_LIMIT), connected(self._address) as (reader, writer):
                writer.write(b"zVERSION\0")
                self._database_date = database_date(await _answer(reader))

    async def _ping(self) -> None:
        async with connected(self._address) as (reader, writer):
            writer.write(b"zPING\0")
            if await _answer(reader) != "PONG":
                raise ScannerFailure("the service there is not clamd")


async def _instream(raw: bytes, session: Connection) -> str:
    """Have a message scanned in a session; end the session after anything but a verdict."""
    begin = b"zINSTREAM\0" if session.requests > 1 else b"zIDSESSION\0zINSTREAM\0"
    chunk = raw[:_CHUNK]
    parts: tuple[bytes, ...] = (begin, struct.pack(">I", len(_ENVELOPE) + len(chunk)), _ENVELOPE, chunk)
    for start in range(_CHUNK, len(raw), _CHUNK):
        await session.send(*parts)
        chunk = raw[start : start + _CHUNK]
        parts = (struct.pack(">I", len(chunk)), chunk)
    await session.send(*parts, b"\0\0\0\0")
    answer = await session.answer(partial(_session_answer, session.requests))
    session.lasting = answer.endswith((" OK", " FOUND"))
    return answer


def _session_answer(number: int, data: bytearray, _ended: bool) -> str | None:
    """Read the answer to the request with this number in its session; None if more has to come.

    Errors may come without the number. Raises EOFError if clamd ended an older session with something else.
    """
    end = data.find(b"\0")
    if end < 0:
        if len(data) > _ANSWER_LIMIT:
            raise ScannerFailure("its answer is invalid")
        return None
    told, colon, answer = data[:end].decode("utf-8", "replace").partition(": ")
    if colon and told == str(number):
        return answer
    whole = f"{told}{colon}{answer}"
    if whole.endswith(" ERROR"):
        return whole
    raise EOFError if number > 1 else ScannerFailure("its answer is invalid")


async def _answer(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\0"))[:-1].decode("utf-8", "replace")
    except asyncio.LimitOverrunError:
        raise ScannerFailure("its answer is invalid") from None


def database_date(version: str) -> int:
    """Parse the release date of the databases from clamd's VERSION answer (Unix ms; 0 = not stated).

    Example: ``ClamAV 1.4.6/27819/Mon Nov 23 09:41:10 2026``. It is in clamd's local time, taken to be in our time zone.
    """
    found = _VERSION.match(version)
    if not found:
        return 0
    try:
        return int(datetime.strptime(found[1], "%a %b %d %H:%M:%S %Y").timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return 0
