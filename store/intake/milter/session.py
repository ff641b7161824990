"""One milter connection of an MTA: assembles messages from its packets, and sends back their outcomes as replies."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import cast

from store.intake.milter import wire
from store.intake.milter.reminder import Reminder
from store.intake.milter.wire import Actions, Protocol, Stage
from store.mail.incoming import Accept, Discard, Incoming, Outcome, Refuse, is_temporary
from store.terms.dsn import Asked, RecipientDsn, asked_of, dsn_of

log = logging.getLogger("mailhold.milter")

Handler = Callable[[Incoming], Awaitable[Outcome]]

#: Max bytes of further commands read while a message is judged; the rest waits in the socket.
READ_AHEAD = 256 << 10
#: Memory per recipient besides the address, in bytes; and the memory that a message's recipients may use in any case.
RECIPIENT_BYTES, LEAST_ENVELOPE = 64, 1 << 20
#: The macros that are used, and max characters of a macro's value.
MACROS, MACRO_LIMIT = {name.encode(): name for name in ("i", "client_addr", "client_name", "auth_authen")}, 1000
TOO_MANY = Refuse(554, "5.5.3", "Too many recipients")
ACTIONS = Actions.ADD_HEADERS | Actions.CHANGE_BODY | Actions.CHANGE_HEADERS | Actions.CHOOSE_MACROS
#: Those macros, for the stages at which they are known; the queue ID may be known only at the end. Without a choice,
#: Postfix tells some before each header field, and an empty text is no choice for it.
CHOSEN = {
    **dict.fromkeys(Stage, " "),
    Stage.CONNECT: "{client_addr} {client_name}",
    Stage.MAIL: "i {auth_authen}",
    Stage.END_OF_MESSAGE: "i",
}
PROTOCOL = (
    Protocol.NO_UNKNOWN
    | Protocol.NO_DATA
    | Protocol.NO_END_OF_HEADER
    | Protocol.NO_REPLY_CONNECT
    | Protocol.NO_REPLY_HELO
    | Protocol.NO_REPLY_MAIL
    | Protocol.NO_REPLY_RECIPIENT
    | Protocol.NO_REPLY_HEADER
    | Protocol.NO_REPLY_END_OF_HEADER
    | Protocol.NO_REPLY_BODY
    | Protocol.LEADING_SPACE
)
#: Commands that need a reply, and the flag by which the MTA agreed to do without.
_ANSWERED = {
    wire.CONNECT: Protocol.NO_REPLY_CONNECT,
    wire.HELO: Protocol.NO_REPLY_HELO,
    wire.MAIL: Protocol.NO_REPLY_MAIL,
    wire.RECIPIENT: Protocol.NO_REPLY_RECIPIENT,
    wire.HEADER: Protocol.NO_REPLY_HEADER,
    wire.END_OF_HEADER: Protocol.NO_REPLY_END_OF_HEADER,
    wire.BODY: Protocol.NO_REPLY_BODY,
    wire.DATA: Protocol(0),
    wire.UNKNOWN: Protocol(0),
}

#: Commands whose macros apply to all messages of a connection.
_OF_CONNECTION = (wire.CONNECT, wire.HELO)


def _agreed(protocol: Protocol) -> tuple[frozenset[bytes], bytes]:
    """Return the commands to answer under the agreed protocol, and the blank that it leaves out of header fields."""
    answered = frozenset(command for command, flag in _ANSWERED.items() if not flag or flag not in protocol)
    return answered, b"" if Protocol.LEADING_SPACE in protocol else b" "


_AGREED_AT_FIRST = _agreed(Protocol(0))


@lru_cache(16)
def _negotiated(offered: bytes) -> tuple[bytes, frozenset[bytes], bytes]:
    """Return the answer to an offer, and what is agreed then. MTAs offer the same for each connection."""
    offer = wire.read_negotiation(offered)
    return wire.negotiate(offer, ACTIONS, PROTOCOL, CHOSEN), *_agreed(PROTOCOL & offer.protocol)


class Session(asyncio.Protocol):
    """A connection. `max_size` is the largest message in bytes; larger ones are truncated and marked so. `reminder`
    says when to tell the MTA that its message is still being judged.

    Messages are judged one after the other: commands that arrive during judging wait until the message is answered.
    Header and body both count for `max_size`. A message whose recipients need more memory than that is refused.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        max_size: int,
        reminder: Reminder,
        opened: Callable[[Session], None],
        closed: Callable[[Session], None],
    ) -> None:
        self._handler = handler
        self._reminder = reminder
        self._max_size = max_size
        self._opened, self._closed = opened, closed
        self._packets = wire.Packets()
        self._transport: asyncio.Transport | None = None
        self._quick: socket.socket | None = None
        #: The commands that the MTA wants answered, and what belongs before a header field's value.
        self._answered, self._space = _AGREED_AT_FIRST
        self._task: asyncio.Task[None] | None = None
        self._client_name = self._client_address = self._helo = ""
        self._connection_macros: dict[str, str] = {}
        #: The last macros packet of this message, unparsed.
        self._told = b""
        self._stopping = self._clogged = self._ended = self._paused = False
        self._forget()

    # --- The connection ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            # Without TCP_QUICKACK each message waits 40 ms for a delayed acknowledgement. Linux resets it after each
            # read.
            self._quick = sock
        self._opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        # A message being judged is judged to its end, so that no copy is left half-written.
        self._transport = None
        self._packets = wire.Packets()
        self._closed(self)

    def eof_received(self) -> bool:
        """Keep the connection open until everything sent before its end is answered."""
        self._ended = True
        return self._task is not None or self._clogged

    def pause_writing(self) -> None:
        """Handle no command while the client does not read its replies."""
        self._clogged = True

    def resume_writing(self) -> None:
        """Handle the commands that arrived in between."""
        self._clogged = False
        self._work_off()

    @property
    def busy(self) -> bool:
        """Whether a message is being judged."""
        return self._task is not None

    def stop(self) -> None:
        """Accept no further message: an idle session is closed at once, a busy one after its answer."""
        self._stopping = True
        if self._task is None and self._transport is not None:
            self._transport.close()

    async def finished(self) -> None:
        """Wait for the message being judged."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def data_received(self, data: bytes) -> None:
        if self._quick is not None:
            self._quick.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._packets.add(data)
        self._work_off()

    def _work_off(self) -> None:
        """Handle the buffered commands, up to one that must be answered before the next."""
        try:
            while self._task is None and not self._clogged and not self._stopping:
                found = self._packets.next()
                if found is None:
                    break
                command, data = found
                part = _PARTS.get(command)
                if part is None:
                    self._take(command, data)
                    continue
                part(self, data)
                if command in self._answered:
                    self._send(wire.CONTINUE)
        except wire.WireError as error:
            log.warning("milter session closed: %s", error)
            self._packets = wire.Packets()
            if self._transport is not None:
                self._transport.abort()
        if self._transport is None or self._transport.is_closing():
            return
        if self._task is None and not self._clogged:
            if self._ended:
                self._transport.close()
            elif self._paused:
                self._paused = False
                self._transport.resume_reading()
        elif not self._paused and len(self._packets) > READ_AHEAD:
            self._paused = True
            self._transport.pause_reading()

    def _send(self, *packets: bytes) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(packets))

    # --- Commands ----------------------------------------------------------------------------------------------------

    def _take(self, command: bytes, data: bytes) -> None:
        if command == wire.NEGOTIATE:
            answer, self._answered, self._space = _negotiated(data)
            self._send(answer)
        elif command == wire.END_OF_MESSAGE:
            self._begin_judging(data)
        elif command == wire.ABORT:
            self._forget_begun()
        elif command == wire.NEW_CONNECTION:
            self._forget_begun()
            self._client_name = self._client_address = self._helo = ""
        elif command == wire.QUIT:
            self._packets = wire.Packets()
            if self._transport is not None:
                self._transport.close()
        elif command in self._answered:
            self._send(wire.CONTINUE)
        elif command not in _ANSWERED:
            log.warning("milter session: unknown command %r ignored", command)

    def _take_field(self, data: bytes) -> None:
        name, _, value = data.removesuffix(b"\0").partition(b"\0")
        space = self._space if value else b""
        if b"\n" in value:
            value = value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        field = b"%b:%b%b\r\n" % (name, space, value)
        if self._fits(field):
            self._header += field

    def _take_body(self, data: bytes) -> None:
        if self._fits(data):
            self._body += data

    def _take_sender(self, data: bytes) -> None:
        self._forget_begun(keep_macros=True)
        self._begun = True
        self._sender, self._asked = _address(data), asked_of(data.split(b"\0")[1:])

    def _take_helo(self, data: bytes) -> None:
        self._helo = _text(data.removesuffix(b"\0"))

    def _take_client(self, data: bytes) -> None:
        name, _, rest = data.partition(b"\0")
        self._client_name = _text(name)
        self._client_address = _text(rest[3:].removesuffix(b"\0")).removeprefix("IPv6:") if rest[:1] in b"46" else ""

    def _take_macros(self, data: bytes) -> None:
        # An older Postfix repeats the same macros before each header field and each part of the body.
        if data[1:] == self._told and data[:1] not in _OF_CONNECTION:
            return
        self._begun = True
        of_connection = data[:1] in _OF_CONNECTION
        into = self._connection_macros if of_connection else self._macros
        if not of_connection:
            self._told = data[1:]
        for name, value in wire.read_macros(data, MACROS).items():
            into[name] = value[:MACRO_LIMIT]

    def _fits(self, data: bytes) -> bool:
        """Count a part of the message. Once it is too large, no part fits any more, so that what is kept is its
        unbroken beginning.
        """
        self._begun = True
        self._size += len(data)
        return self._size <= self._max_size

    def _take_recipient(self, data: bytes) -> None:
        self._begun = True
        address = _address(data)
        self._envelope += len(data) + RECIPIENT_BYTES
        if self._envelope <= max(self._max_size, LEAST_ENVELOPE):
            self._recipients.append(address)
            asked = asked_of(data.split(b"\0")[1:])
            if asked.notify or asked.orcpt:
                self._dsn.append(RecipientDsn(address, asked.notify, asked.orcpt))
        else:
            self._recipients.clear()
            self._dsn.clear()

    def _forget_begun(self, *, keep_macros: bool = False) -> None:
        """Forget the message if one has begun: Postfix aborts twice what was discarded, and begins anew."""
        if self._begun:
            self._forget(keep_macros=keep_macros)

    def _forget(self, *, keep_macros: bool = False) -> None:
        self._begun = keep_macros
        self._sender, self._asked = "", Asked()
        self._recipients: list[str] = []
        self._dsn: list[RecipientDsn] = []
        self._header: bytearray = bytearray()
        self._body: bytearray = bytearray()
        # Size of the empty line between header and body.
        self._size = 2
        self._envelope = 0
        if not keep_macros:
            self._macros: dict[str, str] = {}
            self._told = b""

    # --- Judging -----------------------------------------------------------------------------------------------------

    def _incoming(self, last: bytes) -> Incoming:
        macros = self._connection_macros | self._macros
        return Incoming(
            raw=b"".join((self._header, b"\r\n", self._body, last if self._fits(last) else b"")),
            sender=self._sender,
            recipients=self._recipients,
            queue_id=macros.get("i", ""),
            client_address=macros.get("client_addr", self._client_address),
            client_name=macros.get("client_name", self._client_name),
            helo=self._helo,
            auth_user=macros.get("auth_authen", ""),
            received_at=time.time_ns() // 1_000_000,
            truncated=self._size > self._max_size,
            dsn=dsn_of(self._asked.ret, self._asked.envid, self._dsn),
        )

    def _begin_judging(self, last: bytes) -> None:
        """Judge the message, of which `last` is the last part of the body: of a small message all of it."""
        if self._envelope > max(self._max_size, LEAST_ENVELOPE):
            log.warning("milter session: a message with too many recipients was refused")
            self._forget()
            self._answer(TOO_MANY)
            return
        incoming = self._incoming(last)
        self._forget()
        self._task = asyncio.get_running_loop().create_task(self._judge(incoming))

    async def _judge(self, incoming: Incoming) -> None:
        self._reminder.add(self._tell_progress)
        try:
            outcome = await self._handler(incoming)
            self._answer(outcome)
            incoming.settled(answered=self._transport is not None and not is_temporary(outcome))
        except Exception:
            log.exception("milter session: a message could not be judged; it was deferred")
            self._send(wire.TEMPFAIL)
            incoming.settled(answered=False)
        finally:
            self._reminder.remove(self._tell_progress)
            self._task = None
            if self._stopping and self._transport is not None:
                self._transport.close()
            self._work_off()

    def _tell_progress(self) -> None:
        """Notify the MTA that the message is still being judged."""
        self._send(wire.PROGRESS)

    def _answer(self, outcome: Outcome) -> None:
        match outcome:
            case Discard():
                self._send(wire.DISCARD)
            case Refuse(code, enhanced, text):
                self._send(wire.reply(code, enhanced, text))
            case Accept(body, add_headers, delete_headers):
                # From the last occurrence of a name to the first: deleting one renumbers those after it.
                edits = [wire.delete_header(name, index) for name, index in sorted(delete_headers, reverse=True)]
                edits += [wire.add_header(name, value) for name, value in add_headers]
                if body is not None:
                    edits += wire.replace_body(body)
                self._send(*edits, wire.CONTINUE)


#: What takes each command that is a part of a message or of a connection.
_PARTS: dict[bytes, Callable[[Session, bytes], None]] = {
    wire.MACROS: Session._take_macros,
    wire.HEADER: Session._take_field,
    wire.BODY: Session._take_body,
    wire.RECIPIENT: Session._take_recipient,
    wire.MAIL: Session._take_sender,
    wire.CONNECT: Session._take_client,
    wire.HELO: Session._take_helo,
}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _address(data: bytes) -> str:
    """Extract the address of a MAIL or RCPT command, without angle brackets and parameters."""
    address = data.partition(b"\0")[0]
    if address.startswith(b"<") and address.endswith(b">"):
        address = address[1:-1]
    return _text(address)
