"""The next hop: the server to which accepted messages are sent on, while the client waits.

Each sender and recipient is offered to it at once, so that a recipient that it refuses is refused to the client; the
message follows after it was judged. The client's XFORWARD attributes are passed on if the server offers XFORWARD.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from store.intake.smtp.commands import XFORWARD, Mail, reply, xtext
from store.mail.client import client_of
from store.mail.offers import offers_of
from store.mail.wire import wire_form

if TYPE_CHECKING:
    from aiosmtplib import SMTP, SMTPResponse

    from store.mail.relay import Relay
    from store.terms.dsn import RecipientDsn

#: Timeouts in seconds: for a connection, for the reply to a command, and for the reply to a whole message.
CONNECT_SECONDS, COMMAND_SECONDS, MESSAGE_SECONDS = 30.0, 120.0, 600.0
_XFORWARD_LINE = 480


class NextHopFailed(Exception):
    """The next hop did not accept a command or a message. `reply` is the reply for the client; `refused`: the server
    refused it, rather than being unreachable.
    """

    def __init__(self, told: bytes, *, refused: bool = False) -> None:
        super().__init__(told.decode("utf-8", "replace").strip())
        self.reply = told
        self.refused = refused


_LOST = reply(451, "4.4.1", "The next hop cannot be reached: try again later")


class NextHop:
    """A connection to the next hop, used for one message after another. Methods raise NextHopFailed."""

    def __init__(self, relay: Relay, host_name: str) -> None:
        self._relay = relay
        self._host_name = host_name
        self._client: SMTP | None = None
        self._utf8 = False

    async def begin(self, mail: Mail, client: Mapping[str, str]) -> None:
        """Offer the sender; connect first if needed. `client` holds XFORWARD attributes."""
        fresh = self._client is None or not self._client.is_connected
        try:
            await self._begin(mail, client)
        except NextHopFailed as failed:
            if fresh or failed.refused:
                raise
            # The server may have closed the connection while it was idle.
            await self._begin(mail, client)

    async def _begin(self, mail: Mail, client: Mapping[str, str]) -> None:
        if self._client is None or not self._client.is_connected:
            await self._connect()
        for attributes in self._xforward_lines(client):
            try:
                await self._command(b"XFORWARD", *attributes)
            except NextHopFailed as failed:
                # Refused attributes are missing only in the next hop's log; the message matters more.
                if not failed.refused:
                    raise
        options = []
        if mail.size and self._offered("size") is not None:
            options.append(b"SIZE=%d" % mail.size)
        if mail.eight_bit and self._offered("8bitmime") is not None:
            options.append(b"BODY=8BITMIME")
        if mail.utf8:
            if self._offered("smtputf8") is None:
                raise NextHopFailed(reply(550, "5.6.7", "The next hop does not offer SMTPUTF8"), refused=True)
            options.append(b"SMTPUTF8")
        self._utf8 = mail.utf8
        options += offers_of(self._client.esmtp_extensions if self._client else {}).mail_dsn(mail.ret, mail.envid)
        await self._command(b"MAIL", b"FROM:<%s>" % _bytes(mail.sender), *options)

    async def recipient(self, recipient: RecipientDsn) -> None:
        """Offer a recipient."""
        offers = offers_of(self._client.esmtp_extensions if self._client else {})
        options = offers.recipient_dsn(recipient, utf8=self._utf8)
        await self._command(b"RCPT", b"TO:<%s>" % _bytes(recipient.address), *options)

    async def send(self, message: bytes) -> bytes:
        """Send the message to the accepted recipients. Return the positive reply for the client.

        Raises NextHopFailed, with the reply for the client, if the next hop does not accept it.
        """
        try:
            wire = wire_form(message)
        except ValueError as error:
            await self.reset()
            raise NextHopFailed(reply(554, "5.6.0", str(error))) from None
        try:
            await self._command(b"DATA", positive=354)
        except NextHopFailed:
            await self.reset()
            raise
        protocol = self._client.protocol if self._client is not None else None
        if protocol is None:
            raise NextHopFailed(_LOST)
        try:
            protocol.write(wire)
            response = await protocol.read_response(timeout=MESSAGE_SECONDS)
        except Exception as error:
            self._drop()
            raise NextHopFailed(_LOST) from error
        return self._answer(response)

    async def reset(self) -> None:
        """Abort the transaction. Never raises."""
        if self._client is not None and self._client.is_connected:
            try:
                await self._command(b"RSET")
            except NextHopFailed:
                self._drop()

    async def close(self) -> None:
        """End the connection. Never raises."""
        client, self._client = self._client, None
        if client is not None and client.is_connected:
            try:
                await client.quit(timeout=2)
            except Exception:
                pass
            client.close()

    async def _connect(self) -> None:
        from aiosmtplib import SMTPException

        self._drop()
        relay = self._relay
        context = await asyncio.to_thread(relay.tls_context) if relay.tls or relay.starttls else None
        client = client_of(relay, context, self._host_name, CONNECT_SECONDS)
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
        except (SMTPException, OSError, ValueError) as error:
            client.close()
            raise NextHopFailed(_LOST) from error
        client.timeout = COMMAND_SECONDS
        self._client = client

    async def _command(self, *words: bytes, positive: int = 250) -> bytes:
        from aiosmtplib import SMTPException

        if self._client is None:
            raise NextHopFailed(_LOST)
        try:
            response = await self._client.execute_command(*words)
        except (SMTPException, OSError, ValueError) as error:
            self._drop()
            raise NextHopFailed(_LOST) from error
        return self._answer(response, positive)

    def _answer(self, response: SMTPResponse, positive: int = 250) -> bytes:
        code, words = response.code, " ".join(response.message.split())
        if code // 100 == positive // 100:
            return reply(250, "", words)
        if code == 421 or not 400 <= code <= 599:
            self._drop()
            raise NextHopFailed(reply(451, "4.4.1", f"The next hop said: {code} {words}"), refused=code != 421)
        raise NextHopFailed(reply(code, "", words), refused=True)

    def _xforward_lines(self, client: Mapping[str, str]) -> list[list[bytes]]:
        """Split the attributes that the server supports into lines of limited length."""
        offered = (self._offered("xforward") or "").upper().split()
        lines: list[list[bytes]] = []
        room = 0
        for name in XFORWARD:
            if name not in client or name not in offered:
                continue
            word = name.encode() + b"=" + xtext(_address(client[name]) if name == "ADDR" else client[name])
            if len(word) > room:
                lines.append([])
                room = _XFORWARD_LINE
            lines[-1].append(word)
            room -= len(word) + 1
        return lines

    def _offered(self, extension: str) -> str | None:
        return self._client.esmtp_extensions.get(extension) if self._client is not None else None

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _address(address: str) -> str:
    return f"IPv6:{address}" if ":" in address else address


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")
