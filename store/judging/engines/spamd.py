"""spamd: one SYMBOLS request per message, over TCP or a unix socket.

Written here, because the protocol fits on a page: the asyncio client library for it brings a command line, a logger and
certificates with it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime

from store.helpers.clock import now_ms
from store.judging.engines.engine import EngineResult, client_ip, words
from store.judging.engines.states import RemoteScanner, ScannerFailure
from store.judging.scanner_words import verdicts_of_symbols
from store.mail.endpoint import connected, parse_address
from store.mail.incoming import Incoming
from store.terms.findings import heaviest
from store.terms.verdicts import Engine, Status

_ANSWER_LIMIT = 256 * 1024
_STATUS_LINE = re.compile(rb"SPAMD/\d+\.\d+ +(\d+) +([^\r\n]*)\r\n")
_LENGTH = re.compile(rb"(?im)^Content-length: *(\d{1,9})\r$")
_SPAM = re.compile(rb"(?im)^Spam: *(True|False|Yes|No) *; *(-?\d+(?:\.\d+)?) */ *(-?\d+(?:\.\d+)?) *\r$")
_SYMBOL = re.compile(r"[A-Z][A-Z0-9_]+")
_UNSAFE = re.compile(r"[^!-~]+")


class Spamd(RemoteScanner):
    """spamd at ``unix:/path`` or ``host:port``. Raises UsageError.

    A message that spamd calls spam gets the status Spam, or Probable spam if its score is below `spam_score`. `user` is
    the spamd user whose preferences apply.
    """

    main_engines = (Engine.ANTI_SPAM,)
    engines = frozenset((Engine.ANTI_SPAM, Engine.ANTI_PHISHING))

    def __init__(
        self,
        address: str,
        *,
        name: str = "spamd",
        time_limit: float = 60.0,
        concurrency: int = 5,
        spam_score: float | None = None,
        user: str = "",
    ) -> None:
        self._address = parse_address(address)
        super().__init__(name, str(self._address), time_limit=time_limit, concurrency=concurrency)
        self._spam_score = spam_score
        self._user = _token(user)

    async def _ask(self, incoming: Incoming) -> EngineResult:
        message = _received(incoming) + incoming.raw
        head = f"SYMBOLS SPAMC/1.5\r\nContent-length: {len(message)}\r\n"
        if self._user:
            head += f"User: {self._user}\r\n"
        answer = await self._talk(head.encode() + b"\r\n", message)
        header, _, body = answer.partition(b"\r\n\r\n")
        header += b"\r\n"
        length, spam = _LENGTH.search(header), _SPAM.search(header)
        if not spam or not length:
            raise ScannerFailure("its answer is invalid")
        if len(body) < int(length[1]):
            raise EOFError
        return self._result(
            spam[1].lower() in (b"true", b"yes"), spam[2].decode(), spam[3].decode(), body.decode("utf-8", "replace")
        )

    def _result(self, spam: bool, score: str, required: str, names: str) -> EngineResult:
        symbols = _SYMBOL.findall(names)
        status = Status.CLEAN
        if spam:
            unsure = self._spam_score is not None and float(score) < self._spam_score
            status = Status.PROBABLE_SPAM if unsure else Status.SPAM
        verdicts = verdicts_of_symbols(symbols, status, words(f"{score} / {required} {', '.join(symbols)}"))
        return EngineResult(
            True,
            tuple(verdicts),
            engines=self.engines,
            score=float(score),
            required=float(required),
            symbols=heaviest([(name, None) for name in symbols]),
        )

    async def _ping(self) -> None:
        await self._talk(b"PING SPAMC/1.5\r\n\r\n", b"")

    async def _talk(self, head: bytes, message: bytes) -> bytes:
        """Send a request; return its answer without the status line."""
        async with connected(self._address) as (reader, writer):
            writer.writelines((head, message))
            await writer.drain()
            writer.write_eof()
            answer = bytearray()
            while chunk := await reader.read(65536):
                answer += chunk
                if len(answer) > _ANSWER_LIMIT:
                    raise ScannerFailure("its answer is too long")
        status = _STATUS_LINE.match(answer)
        if not status:
            if b"SPAMD/".startswith(bytes(answer[:6])):
                raise EOFError
            raise ScannerFailure("the service there is not spamd")
        if status[1] != b"0":
            raise ScannerFailure(f"it answered {status[1].decode()} {words(status[2].decode('ascii', 'replace'))[:60]}")
        return bytes(answer[status.end() :])


def _received(incoming: Incoming) -> bytes:
    """Write the Received line that the MTA has not added yet: spamd takes client and envelope sender from it."""
    address = client_ip(incoming)
    if not address:
        return b""
    received = datetime.fromtimestamp((incoming.received_at or now_ms()) / 1000, UTC)
    helo, client = _token(incoming.helo) or "unknown", _token(incoming.client_name) or "unknown"
    return (
        f"Received: from {helo} ({client} [{address}])\r\n"
        f"\tby localhost (Postfix) with ESMTP id {_token(incoming.queue_id) or 'unknown'}\r\n"
        f"\t(envelope-from <{_token(incoming.sender)}>);\r\n\t{format_datetime(received)}\r\n"
    ).encode()


def _token(text: str) -> str:
    """Make outside text safe as one word of a header: printable ASCII without brackets."""
    return _UNSAFE.sub("?", text[:300]).translate(str.maketrans("()<>[]", "??????"))
