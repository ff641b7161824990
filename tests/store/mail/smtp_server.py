"""A scripted SMTP server for tests: keeps what it accepts, and fails where its script says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

#: Points at which a connection can die.
POINTS = ("connect", "ehlo", "mail", "rcpt", "data", "content", "dot", "replied")


@dataclass
class Taken:
    """A message that the server answered with 250 (or would have, had it not died at `dot`)."""

    mail: str
    rcpt: list[str]
    content: bytes
    options: list[str] = field(default_factory=list)


class ScriptedServer:
    """Listens on loopback. `script(point, argument)` returns None (go on), "die" (cut the connection) or a reply.

    `taken` holds every message whose final dot arrived and that the script let pass, whether or not the client knows
    it: dying at `dot` happens BEFORE the message is accepted, dying at `replied` after it was accepted but unanswered.
    """

    #: Whether servers offer PIPELINING. They always cope with it.
    pipelining = False

    def __init__(
        self,
        script: Callable[[str, str], str | None] | None = None,
        extensions: Sequence[str] = ("SIZE 50000000", "8BITMIME", "SMTPUTF8"),
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
    ) -> None:
        self.script = script or (lambda point, argument: None)
        self.extensions = [*extensions, *(["PIPELINING"] if self.pipelining else [])]
        self.tls = tls
        self.implicit_tls = implicit_tls
        #: Whether it asks for content although it refused every recipient.
        self.lax = False
        self.taken: list[Taken] = []
        self.sessions = 0
        self.commands: list[str] = []
        #: The parameters of each recipient with parameters, by address.
        self.asked: dict[str, list[str]] = {}
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> ScriptedServer:
        context = self.tls if self.implicit_tls else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context, limit=1 << 26)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        assert self._server
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        self._writers.add(writer)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    def _ask(self, point: str, argument: str) -> str | None:
        answer = self.script(point, argument)
        if answer == "die":
            raise ConnectionResetError
        return answer

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(text: str) -> None:
            writer.write(text.encode() + b"\r\n")
            await writer.drain()

        await say(self._ask("connect", "") or "220 scripted")
        mail, rcpt, options, begun = "", [], [], False
        while line := await reader.readline():
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            self.commands.append(text)
            verb = text[:4].upper()
            if verb in ("EHLO", "HELO"):
                offers = [*self.extensions, *(["STARTTLS"] if self.tls and not self.implicit_tls else [])]
                lines = ["scripted", *offers] if verb == "EHLO" else ["scripted"]
                greeting = "\r\n".join(
                    f"250{'-' if at < len(lines) - 1 else ' '}{offer}" for at, offer in enumerate(lines)
                )
                await say(self._ask("ehlo", text) or greeting)
            elif text.upper() == "STARTTLS":
                await say("220 go ahead")
                await writer.start_tls(self.tls)
            elif verb == "AUTH":
                await say(self._ask("auth", text) or "235 welcome")
            elif verb == "MAIL":
                answer = self._ask("mail", text)
                address, _, rest = text[10:].partition(">")
                mail, rcpt, options, begun = address.lstrip("<"), [], rest.split(), not answer
                await say(answer or "250 sender ok")
            elif verb == "RCPT":
                address, _, asked = text[9:].rpartition(">")
                answer = self._ask("rcpt", address) if begun else "503 MAIL first"
                if not answer:
                    rcpt.append(address)
                    if asked:
                        self.asked[address] = asked.split()
                await say(answer or "250 recipient ok")
            elif verb == "DATA":
                answer = self._ask("data", "")
                if not rcpt and not self.lax:
                    answer = answer or "554 no valid recipients"
                await say(answer or "354 go")
                if answer:
                    continue
                content = await reader.read(1)
                self._ask("content", "")
                content += await reader.readuntil(b"\r\n.\r\n")
                answer = self._ask("dot", "")
                if not answer:
                    body = content[:-3].replace(b"\r\n..", b"\r\n.").removeprefix(b".")
                    self.taken.append(Taken(mail, rcpt, body, options))
                    self._ask("replied", "")
                await say(answer or f"250 taken {len(self.taken)}")
            elif verb == "QUIT":
                await say("221 bye")
                return
            else:
                await say("250 ok")


@contextmanager
def offering(pipelining: bool) -> Iterator[bool]:
    """Have all servers made inside the block offer PIPELINING, or not."""
    before, ScriptedServer.pipelining = ScriptedServer.pipelining, pipelining
    try:
        yield pipelining
    finally:
        ScriptedServer.pipelining = before
