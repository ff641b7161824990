"""One connection of an SMTP or LMTP client: assembles messages from its commands, and replies with their outcomes.

The protocol is written here instead of using aiosmtpd. That library reads addresses as header fields
(`<=?utf-8?q?x?=@example>` becomes `x@example`, a comment disappears); gives an LMTP client one reply for all
recipients; refuses lines above 1,001 bytes; shares the limits on command lengths between all connections, so that each
new one takes away what another had been granted; cancels the handler when the client disconnects (which would leave a
copy half-made); cuts off a message that takes longer than its time limit; and lacks pipelining, XFORWARD and a 421 at
the end.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from store.intake.smtp.commands import (
    XFORWARD,
    BadArgument,
    Mail,
    parse_mail,
    parse_recipient,
    parse_xforward,
    reply,
    text,
)
from store.intake.smtp.content import Content
from store.intake.smtp.input import Input, LineTooLong
from store.intake.smtp.next_hop import NextHop, NextHopFailed
from store.intake.smtp.onward import BUSY, OK, Envelope, carry_out, log_failed
from store.mail.incoming import Incoming, Outcome
from store.terms.dsn import RecipientDsn, dsn_of

if TYPE_CHECKING:
    from store.mail.relay import Relay

log = logging.getLogger("mailhold.sink")

#: Judges a message: one outcome for all recipients, or one for each in their order.
Handler = Callable[[Incoming], Awaitable[Outcome | Sequence[Outcome]]]

#: Seconds that a client may be silent: between commands, and within a message (RFC 5321, 4.5.3.2).
COMMAND_SECONDS, CONTENT_SECONDS = 300.0, 180.0
MAX_RECIPIENTS = 1000
MAX_ERRORS = 20
#: Max replies that are collected to be sent together; then the other sessions get their turn.
REPLIES_AT_ONCE = 100

_SHUTTING_DOWN = reply(421, "4.3.2", "Shutting down: try again later")


@dataclass(frozen=True, slots=True)
class Options:
    """Options common to all sessions of a listener. `max_size` is the largest message in bytes."""

    handler: Handler
    lmtp: bool
    max_size: int
    trusted: bool
    host_name: str
    next_hop: Relay | None


class Session:
    """A connection. `busy` is true from the first byte of a message to the reply to it."""

    def __init__(self, options: Options, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._options = options
        self._writer = writer
        sock = writer.get_extra_info("socket")
        tcp = sock if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6) else None
        self._input = Input(reader, tcp)
        self._peer = _outside(writer.get_extra_info("peername")) if tcp is not None else ""
        self._next_hop = NextHop(options.next_hop, options.host_name) if options.next_hop is not None else None
        self._out: list[bytes] = []
        self._greeted = ""
        self._errors = 0
        self._ended = self._stopping = self.busy = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._forget()

    def _forget(self) -> None:
        self._mail: Mail | None = None
        self._recipients: list[str] = []
        #: The DSN request for each recipient, in their order.
        self._asked: list[RecipientDsn] = []
        self._client: dict[str, str] = {}

    # --- The connection ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the client until it or the server ends the session. Never raises."""
        self._say(reply(220, "", f"{self._options.host_name} {'LMTP' if self._options.lmtp else 'ESMTP'} Mailhold"))
        try:
            while not self._ended:
                if not self._input.has_line:
                    await self._flush()
                elif len(self._out) >= REPLIES_AT_ONCE:
                    await self._flush()
                    await asyncio.sleep(0)
                await self._next_command()
            await self._flush()
        except TimeoutError:
            self._end(reply(421, "4.4.2", "Timeout: nothing was sent for too long"))
        except (EOFError, ConnectionError):
            pass
        except Exception:
            log.exception("sink session closed by a defect")
        finally:
            self._ended = True
            self._writer.close()
            if self._next_hop is not None:
                await self._next_hop.close()

    def stop(self) -> None:
        """Accept no further message: end the session now, or after the reply to the message in progress."""
        self._stopping = True
        if not self.busy:
            self.abandon()

    def abandon(self) -> None:
        """End the session now. A message being judged is judged to its end, but its client gets no reply, and tries
        again.
        """
        self._end(_SHUTTING_DOWN)

    async def finished(self) -> None:
        """Wait for the message in progress."""
        await self._idle.wait()

    def _say(self, *replies: bytes) -> None:
        if not self._ended:
            self._out += replies

    async def _flush(self) -> None:
        if self._out and not self._writer.is_closing():
            self._writer.write(b"".join(self._out))
            self._out.clear()
            await self._writer.drain()

    def _end(self, last: bytes) -> None:
        """Send a last reply and close. Later replies are dropped."""
        if self._ended:
            return
        self._say(last)
        self._ended = True
        if not self._writer.is_closing():
            self._writer.write(b"".join(self._out))
            self._out.clear()
            self._writer.close()

    # --- Commands ----------------------------------------------------------------------------------------------------

    async def _next_command(self) -> None:
        try:
            line = await self._input.line(COMMAND_SECONDS)
        except LineTooLong:
            self._refuse(reply(500, "5.5.2", "The line is too long"))
            return
        verb, _, argument = line.partition(b" ")
        command = self._COMMANDS.get(verb.upper())
        if command is None:
            self._refuse(reply(500, "5.5.2", "Command not recognized"))
            return
        try:
            await command(self, argument.strip(b" "))
        except BadArgument as error:
            self._refuse(error.reply)

    def _refuse(self, told: bytes) -> None:
        self._errors += 1
        if self._errors > MAX_ERRORS:
            self._end(reply(421, "4.7.0", "Too many errors"))
        self._say(told)

    async def _hello(self, argument: bytes, *, lmtp: bool, extended: bool = True) -> None:
        if lmtp != self._options.lmtp:
            self._refuse(reply(500, "5.5.1", f"Say {'LHLO' if self._options.lmtp else 'EHLO'} here"))
            return
        if not argument:
            self._refuse(reply(501, "5.5.4", "The client's name is missing"))
            return
        await self._reset_transaction()
        self._greeted = text(argument)
        offers = [self._options.host_name]
        if extended:
            offers += ["PIPELINING", f"SIZE {self._options.max_size}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
            offers += ["DSN", f"XFORWARD {' '.join(XFORWARD)}"]
        for offer in offers[:-1]:
            self._say(f"250-{offer}\r\n".encode())
        self._say(f"250 {offers[-1]}\r\n".encode())

    async def _ehlo(self, argument: bytes) -> None:
        await self._hello(argument, lmtp=False)

    async def _helo(self, argument: bytes) -> None:
        await self._hello(argument, lmtp=False, extended=False)

    async def _lhlo(self, argument: bytes) -> None:
        await self._hello(argument, lmtp=True)

    async def _xforward(self, argument: bytes) -> None:
        if self._mail is not None:
            self._refuse(reply(503, "5.5.1", "XFORWARD must come before MAIL"))
            return
        self._client.update(parse_xforward(argument))
        self._say(OK)

    async def _take_mail(self, argument: bytes) -> None:
        if not self._greeted:
            self._refuse(reply(503, "5.5.1", f"Say {'LHLO' if self._options.lmtp else 'EHLO'} first"))
            return
        if self._mail is not None:
            self._refuse(reply(503, "5.5.1", "A sender was already given"))
            return
        mail = parse_mail(argument, max_size=self._options.max_size)
        if self._next_hop is not None:
            try:
                await self._next_hop.begin(mail, self._client)
            except NextHopFailed as failed:
                self._say_failed(failed)
                return
        self._mail = mail
        self._say(reply(250, "2.1.0", "Ok"))

    async def _take_recipient(self, argument: bytes) -> None:
        if self._mail is None:
            self._refuse(reply(503, "5.5.1", "Send MAIL before RCPT"))
            return
        recipient = parse_recipient(argument)
        if len(self._recipients) >= MAX_RECIPIENTS:
            self._say(reply(452, "4.5.3", "Too many recipients"))
            return
        if self._next_hop is not None:
            try:
                await self._next_hop.recipient(recipient)
            except NextHopFailed as failed:
                self._say_failed(failed)
                return
        self._recipients.append(recipient.address)
        self._asked.append(recipient)
        self._say(reply(250, "2.1.5", "Ok"))

    def _say_failed(self, failed: NextHopFailed) -> None:
        log_failed(failed)
        self._say(failed.reply)

    async def _rset(self, _argument: bytes) -> None:
        await self._reset_transaction()
        self._say(OK)

    async def _reset_transaction(self) -> None:
        if self._mail is not None and self._next_hop is not None:
            await self._next_hop.reset()
        self._forget()

    async def _noop(self, _argument: bytes) -> None:
        self._say(OK)

    async def _vrfy(self, _argument: bytes) -> None:
        self._say(reply(252, "2.5.0", "Cannot verify; send mail to find out"))

    async def _quit(self, _argument: bytes) -> None:
        self._say(reply(221, "2.0.0", "Bye"))
        self._ended = True

    # --- A message ---------------------------------------------------------------------------------------------------

    async def _data(self, argument: bytes) -> None:
        if argument:
            raise BadArgument(501, "5.5.4", "Syntax: DATA")
        if self._mail is None or not self._recipients:
            # LMTP requires this too (RFC 2033, 4.2): without a recipient there is nothing to reply to.
            self._refuse(reply(503, "5.5.1", "Send RCPT before DATA"))
            return
        self._say(reply(354, "", "End data with <CR><LF>.<CR><LF>"))
        await self._flush()
        self.busy = True
        self._idle.clear()
        try:
            content = Content(self._options.max_size)
            rest = None
            while rest is None:
                rest = content.feed(await self._input.chunk(CONTENT_SECONDS))
            self._input.give_back(rest)
            replies, incoming = await self._judge(self._mail, content)
            self._say(*replies)
            if incoming is not None and incoming.settle is not None:
                await self._flush()
                gone = self._ended or self._writer.is_closing()
                incoming.settled(answered=not gone and not any(each.startswith(b"4") for each in replies))
            if self._stopping:
                self._end(_SHUTTING_DOWN)
        finally:
            self.busy = False
            self._idle.set()
            self._forget()

    async def _judge(self, mail: Mail, content: Content) -> tuple[list[bytes], Incoming | None]:
        """Judge a message. Returns its replies (in LMTP one per recipient), and the message if it was judged."""
        raw = content.message()
        if content.too_large:
            await self._reset_transaction_at_next_hop()
            told = f"The message is larger than {self._options.max_size} bytes, the limit here"
            return self._replies([reply(552, "5.3.4", told)] * len(self._recipients)), None
        incoming = self._incoming(mail, raw)
        try:
            judged = await self._options.handler(incoming)
            outcomes = list(judged) if isinstance(judged, Sequence) else [judged] * len(self._recipients)
            if len(outcomes) != len(self._recipients):
                raise ValueError("one outcome for each recipient is needed")
            envelope = Envelope(mail, self._asked, self._client)
            replies = await carry_out(outcomes, raw, envelope, self._next_hop, self._client_is_gone)
        except Exception:
            log.exception("sink session: a message could not be judged; it was deferred")
            await self._reset_transaction_at_next_hop()
            replies = [BUSY] * len(self._recipients)
        return self._replies(replies), incoming

    def _incoming(self, mail: Mail, raw: bytes) -> Incoming:
        client = self._client
        return Incoming(
            raw=raw,
            sender=mail.sender,
            recipients=list(self._recipients),
            queue_id=client.get("IDENT", ""),
            client_address=client.get("ADDR", self._peer),
            client_name=client.get("NAME", ""),
            helo=client.get("HELO", self._greeted),
            received_at=time.time_ns() // 1_000_000,
            trusted_headers=self._options.trusted,
            dsn=dsn_of(mail.ret, mail.envid, self._asked),
        )

    def _client_is_gone(self) -> bool:
        return self._ended or self._writer.is_closing() or self._input.at_end

    async def _reset_transaction_at_next_hop(self) -> None:
        if self._next_hop is not None:
            await self._next_hop.reset()

    def _replies(self, replies: list[bytes]) -> list[bytes]:
        """Return all replies in LMTP. SMTP has one: that of a refused recipient if any, preferring `try again`."""
        if self._options.lmtp:
            return replies
        for first in (b"4", b"5"):
            for each in replies:
                if each.startswith(first):
                    return [each]
        return replies[:1]

    _COMMANDS: dict[bytes, Callable[[Session, bytes], Awaitable[None]]] = {  # noqa: RUF012  # never changed
        b"EHLO": _ehlo,
        b"HELO": _helo,
        b"LHLO": _lhlo,
        b"XFORWARD": _xforward,
        b"MAIL": _take_mail,
        b"RCPT": _take_recipient,
        b"DATA": _data,
        b"RSET": _rset,
        b"NOOP": _noop,
        b"VRFY": _vrfy,
        b"QUIT": _quit,
    }


def _outside(peer: tuple[str, ...]) -> str:
    """Return the address of a client on another host; "" for the local MTA, which is not the message's origin."""
    address = peer[0].partition("%")[0]
    try:
        return "" if ip_address(address).is_loopback else address
    except ValueError:
        return ""
