"""rspamd: one POST /checkv2 request per message, with its envelope, over TCP or a unix socket.

The HTTP client is aiohttp: maintained, supports unix sockets, and the lightest that does. Its import takes about 0.2 s,
so it is imported only when rspamd is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from store.helpers.decoding import json_decoder
from store.helpers.installed import imported
from store.judging.engines.engine import EngineResult, client_ip, words
from store.judging.engines.states import RemoteScanner, ScannerFailure
from store.judging.scanner_words import one_an_engine, verdicts_of_symbols
from store.mail.endpoint import Address, parse_address
from store.mail.incoming import Incoming
from store.terms.errors import UsageError
from store.terms.findings import heaviest
from store.terms.verdicts import Engine, Status, Verdict

if TYPE_CHECKING:
    import aiohttp

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
        super().__init__(name, str(self._address), time_limit=time_limit, concurrency=concurrency)
        self._symbols = dict(symbols or {})
        for symbol, status in self._symbols.items():
            if status not in OWN:
                raise UsageError(f"The symbol {symbol} of {name} cannot mean `{status}`: it can mean {', '.join(OWN)}.")
        imported("rspamd", "gateway", "aiohttp", "aiohttp")
        self._session: aiohttp.ClientSession | None = None

    async def _ask(self, incoming: Incoming) -> EngineResult:
        import aiohttp

        try:
            async with self._http().post(
                f"{self._base}/checkv2", data=incoming.raw, headers=list(_headers(incoming))
            ) as response:
                if response.status != 200:
                    raise ScannerFailure(f"it answered with HTTP status {response.status}")
                body = await _body(response)
        except aiohttp.ClientOSError:
            raise  # already an OSError with the system's reason
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError):
            raise EOFError from None
        except aiohttp.ClientError as error:
            raise ScannerFailure(f"its answer is invalid ({type(error).__name__})") from None
        return self.read(body)

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
        import aiohttp

        try:
            async with self._http().get(f"{self._base}/ping") as response:
                if (await _body(response)).strip() != b"pong":
                    raise ScannerFailure("the service there is not rspamd")
        except aiohttp.ClientOSError:
            raise
        except aiohttp.ClientError as error:
            raise ScannerFailure(f"the service there is not rspamd ({type(error).__name__})") from None

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            # `RemoteScanner` limits time and concurrency. By default rspamd closes each connection after its answer.
            connector: aiohttp.BaseConnector
            if self._address.path:
                connector = aiohttp.UnixConnector(self._address.path, limit=0)
            else:
                connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
                auto_decompress=False,
            )
        return self._session

    async def close(self) -> None:
        """Close the open connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def _parse(url: str) -> tuple[Address, str]:
    """Split a URL into the address and the base of the request URLs."""
    if "://" not in url:
        address = parse_address(url)
        return address, "http://localhost" if address.path else f"http://{address}"
    try:
        parts = urlsplit(url)
        port = parts.port or 11333
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "http" or not parts.hostname or parts.query or parts.username:
        raise UsageError(f"`{url}` is not an address of rspamd. Use http://host:port, host:port or unix:/path.")
    address = Address("", parts.hostname, port)
    return address, f"http://{address}{parts.path.rstrip('/')}"


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
    clean = "".join(character if character.isprintable() else "?" for character in value[:1000])
    return clean.encode("utf-8", "replace").decode("utf-8")


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_LIMIT:
            raise ScannerFailure("its answer is too long")
    return bytes(body)


def _detail(answer: _Answer) -> str:
    """Format action, score, threshold and the heaviest symbols: ``add header 15.10 / 15.00 GTUBE(0.00), …``."""
    heaviest = sorted(answer.symbols.items(), key=lambda item: (-abs(item[1].score), item[0]))[:_SHOWN]
    score = f"{answer.score:.2f}" + (f" / {answer.required_score:.2f}" if answer.required_score is not None else "")
    symbols = ", ".join(f"{name}({symbol.score:.2f})" for name, symbol in heaviest)
    return words(f"{answer.action} {score} {symbols}")
