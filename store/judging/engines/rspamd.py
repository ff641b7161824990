"""rspamd: one POST /checkv2 request per message, with its envelope, over TCP or a unix socket.

rspamd closes each connection after its answer; a server in between may keep it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from urllib.parse import quote, urlsplit

import msgspec

from store.helpers.decoding import json_decoder
from store.judging.engines.connections import Connection, Connections
from store.judging.engines.engine import EngineResult, client_ip, words
from store.judging.engines.http import Response, request, response
from store.judging.engines.states import RemoteScanner, ScannerFailure
from store.judging.scanner_words import one_an_engine, verdicts_of_symbols
from store.mail.endpoint import Address, parse_address
from store.mail.incoming import Incoming
from store.terms.errors import UsageError
from store.terms.findings import heaviest
from store.terms.verdicts import Engine, Status, Verdict

#: Max size of an answer, in bytes.
ANSWER_LIMIT = 4 * 1024 * 1024
#: Max symbols named in a verdict's detail, the heaviest first.
_SHOWN = 8
_STATUS = {
    "reject": Status.SPAM,
    "discard": Status.SPAM,
    "quarantine": Status.SPAM,
    "add header": Status.PROBABLE_SPAM,
    "rewrite subject": Status.PROBABLE_SPAM,
    "greylist": Status.CLEAN,
    "soft reject": Status.CLEAN,
    "no action": Status.CLEAN,
}
#: The statuses that a configured symbol can be given, and the engine that each belongs to.
OWN = {
    Status.BLACKLISTED: Engine.ANTI_SPAM,
    Status.PHISHING: Engine.ANTI_PHISHING,
    Status.MALICIOUS_LINK: Engine.ANTI_PHISHING,
}


class _Symbol(msgspec.Struct):
    score: float = 0.0


class _Answer(msgspec.Struct):
    action: str
    score: float = 0.0
    required_score: float | None = None
    is_skipped: bool = False
    passthrough_module: str = ""
    symbols: dict[str, _Symbol] = {}


_decode = json_decoder(_Answer).decode


class Rspamd(RemoteScanner):
    """rspamd's normal worker at ``http://host:port``, ``host:port`` or ``unix:/path``. Raises UsageError.

    `symbols` maps the site's own symbols (multimaps) to a status in `OWN`.
    """

    main_engines = (Engine.ANTI_SPAM, Engine.ANTI_PHISHING)
    engines = frozenset(main_engines)

    def __init__(
        self,
        url: str,
        *,
        name: str = "rspamd",
        time_limit: float = 30.0,
        concurrency: int = 8,
        symbols: Mapping[str, Status] | None = None,
    ) -> None:
        self._address, self._base = _parse(url)
        self._host = "localhost" if self._address.path else str(self._address)
        super().__init__(name, str(self._address), time_limit=time_limit, concurrency=concurrency)
        self._symbols = dict(symbols or {})
        for symbol, status in self._symbols.items():
            if status not in OWN:
                raise UsageError(f"The symbol {symbol} of {name} cannot mean `{status}`: it can mean {', '.join(OWN)}.")
        self._connections = Connections(self._address)

    async def _ask(self, incoming: Incoming) -> EngineResult:
        raw = incoming.raw
        head = request("POST", self._host, f"{self._base}/checkv2", _headers(incoming), len(raw))
        answer = await self._connections.request(partial(_exchanged, head, raw))
        if answer.status != 200:
            raise ScannerFailure(f"it answered with HTTP status {answer.status}")
        return self.read(answer.body)

    def read(self, body: bytes) -> EngineResult:
        """Read the JSON of an answer. Raises ScannerFailure."""
        try:
            answer = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ScannerFailure("its answer is invalid") from None
        status = _STATUS.get(answer.action)
        if status is None:
            raise ScannerFailure(f"its action `{words(answer.action)[:40]}` is not known", final=True)
        # A passthrough module (GTUBE, a forced action) skips the other checks too, but its action is a verdict.
        if answer.is_skipped and status is Status.CLEAN and not answer.passthrough_module:
            raise ScannerFailure("its settings skip this message", final=True)
        verdicts = verdicts_of_symbols(answer.symbols, status, _detail(answer))
        if not any(verdict.engine is Engine.ANTI_PHISHING for verdict in verdicts):
            verdicts.append(Verdict(Engine.ANTI_PHISHING, Status.CLEAN))
        own = [Verdict(OWN[status], status, name) for name, status in self._symbols.items() if name in answer.symbols]
        return EngineResult(
            True,
            one_an_engine([*own, *verdicts]),
            engines=self.engines,
            score=round(answer.score, 2),
            required=answer.required_score,
            symbols=heaviest([(name, symbol.score) for name, symbol in answer.symbols.items()]),
        )

    async def _ping(self) -> None:
        head = request("GET", self._host, f"{self._base}/ping")
        try:
            answer = await self._connections.request(partial(_exchanged, head, b""))
        except ScannerFailure:
            answer = Response(0, b"", False)
        if answer.body.strip() != b"pong":
            raise ScannerFailure("the service there is not rspamd")

    async def close(self) -> None:
        """Close the open connections."""
        self._connections.close()


async def _exchanged(head: bytes, body: bytes, connection: Connection) -> Response:
    await connection.send(head, body)
    answer = await connection.answer(_response)
    connection.lasting = answer.lasting
    return answer


def _response(data: bytearray, ended: bool) -> Response | None:
    return response(data, ended, ANSWER_LIMIT)


def _parse(url: str) -> tuple[Address, str]:
    """Split a URL into the address and the path that the requests begin with."""
    if "://" not in url:
        address = parse_address(url)
        return address, ""
    try:
        parts = urlsplit(url)
        port = parts.port or 11333
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "http" or not parts.hostname or parts.query or parts.username:
        raise UsageError(f"`{url}` is not an address of rspamd. Use http://host:port, host:port or unix:/path.")
    address = Address("", parts.hostname, port)
    return address, quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")


def _headers(incoming: Incoming) -> Iterator[tuple[str, str]]:
    """Yield envelope and client as the request headers of rspamd's protocol."""
    yield "From", f"<{_safe(incoming.sender)}>"
    for recipient in incoming.recipients:
        yield "Rcpt", f"<{_safe(recipient)}>"
    if address := client_ip(incoming):
        yield "IP", address
    known = incoming.client_name != "unknown" and not incoming.client_name.startswith("[")
    for name, value in (
        ("Helo", incoming.helo),
        ("Hostname", incoming.client_name if known else ""),
        ("User", incoming.auth_user),
        ("Queue-Id", incoming.queue_id),
    ):
        if value:
            yield name, _safe(value)


def _safe(value: str) -> str:
    """Make a value safe as a request header: printable, valid UTF-8, at most 1,000 characters."""
    if len(value) <= 1000 and value.isascii() and value.isprintable():
        return value
    clean = "".join(character if character.isprintable() else "?" for character in value[:1000])
    return clean.encode("utf-8", "replace").decode("utf-8")


def _detail(answer: _Answer) -> str:
    """Format action, score, threshold and the heaviest symbols: ``add header 15.10 / 15.00 GTUBE(0.00), …``."""
    heaviest = sorted(answer.symbols.items(), key=lambda item: (-abs(item[1].score), item[0]))[:_SHOWN]
    score = f"{answer.score:.2f}" + (f" / {answer.required_score:.2f}" if answer.required_score is not None else "")
    symbols = ", ".join(f"{name}({symbol.score:.2f})" for name, symbol in heaviest)
    return words(f"{answer.action} {score} {symbols}")
