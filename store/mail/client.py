"""One SMTP session with the relay: connect, TLS, log in, and send messages one after another.

The message's bytes are sent unchanged, except as SMTP demands: line ends become CRLF, the last line gets one, and dots
are stuffed. NUL bytes, 8-bit bytes, long lines and a lone CR pass unchanged. The sequence CR, dot, CR is refused: some
servers take it for the end of the message, and the following lines for commands. SIZE and BODY=8BITMIME are declared if
offered; SMTPUTF8 only if an address needs it, because the next server without it would refuse the message. Source: RFC
5321, 1870, 6152, 6531.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from store.mail.offers import Offers, offers_of
from store.mail.outcome import Outcome, State
from store.mail.wire import wire_form
from store.terms.dsn import Dsn

if TYPE_CHECKING:
    import ssl

    from aiosmtplib import SMTP, SMTPResponse

    from store.mail.conversation import Conversation
    from store.mail.relay import Relay

MAX_REPLY = 1000
_UTF8 = "The relay does not offer SMTPUTF8, which this address needs."

#: Called with the accepted and the refused recipients just before DATA; an error that it raises stops the transaction.
#: If the server offers PIPELINING, MAIL, RCPT and DATA go out together, so it is called before them with all
#: recipients, and once more, before the content, if the server then refused some of them.
BeforeData = Callable[[Sequence[str], Mapping[str, Outcome]], Awaitable[None]]


@dataclass(frozen=True)
class Timeouts:
    """Timeouts in seconds: for the connection, for a command's reply, for the reply to the whole message (RFC 5321,
    4.5.3.2).
    """

    connect: float = 30.0
    command: float = 300.0
    message: float = 600.0


class SessionLost(Exception):
    """The session broke before a message could have been accepted for any recipient; `str()` is the reason to show."""


def client_of(relay: Relay, context: ssl.SSLContext | None, host_name: str, timeout: float) -> SMTP:
    """Make a client of the relay, not yet connected. `timeout` (seconds) applies to each step of connecting."""
    from aiosmtplib import SMTP

    return SMTP(
        hostname=relay.host,
        port=relay.port,
        username=relay.user or None,
        password=relay.password or None,
        local_hostname=host_name,
        use_tls=relay.tls,
        start_tls=relay.starttls,
        tls_context=context,
        timeout=timeout,
    )


def failure(error: BaseException) -> str:
    """Describe a connection error in one line to show. The server's words are kept."""
    from aiosmtplib import SMTPResponseException

    if isinstance(error, SMTPResponseException):
        return reply_text(error.code, error.message)
    if isinstance(cause := error.__cause__ or error, OSError) and (words := _of_the_system(cause)):
        return words
    return _clean(str(error) or type(error).__name__)


def _of_the_system(error: OSError) -> str:
    """Say an error of the operating system in its words: ``Connection refused``; "" for one without a number.

    Of a host with many addresses asyncio joins the errors into one text, which alone has the numbers. TLS has numbers
    of its own: its errors are left as they are.
    """
    if isinstance(error, socket.gaierror):
        return _clean(error.strerror or "")
    if type(error).__name__.startswith("SSL"):
        return ""
    numbers = [error.errno] if error.errno else map(int, re.findall(r"\[Errno (\d+)\]", str(error)))
    return "; ".join(dict.fromkeys(map(os.strerror, numbers)))


def reply_text(code: int, message: str) -> str:
    """Join a server's reply into one string of at most MAX_REPLY characters. NOT safe for a terminal."""
    return _clean(f"{code} {message}" if code > 0 else message)


def _clean(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[:MAX_REPLY]


def _refuses(response: SMTPResponse) -> bool:
    """Return whether MAIL, RCPT or DATA was refused; False if it was accepted, by any 2xx (RFC 5321, 4.3.1).

    For any other answer raises SMTPResponseException: nobody knows then whom the relay would take content for. A 354 is
    one: the relay waits for content already, so that whatever is sent next would become part of a message.
    """
    from aiosmtplib import SMTPResponseException

    if response.code // 100 not in (2, 4, 5):
        text = reply_text(response.code, response.message)
        raise SMTPResponseException(-1, f"The relay's answer to a command is not valid SMTP: {text}")
    return response.code // 100 != 2


def outcome_of(response: SMTPResponse) -> Outcome:
    """Convert a refusal to an Outcome: 5xx is FAILED; anything else is DEFERRED."""
    state = State.FAILED if 500 <= response.code <= 599 else State.DEFERRED
    return Outcome(state, reply_text(response.code, response.message))


class Session:
    """A connection to the relay, used by one task at a time for one message after another."""

    def __init__(self, relay: Relay, context: ssl.SSLContext | None, host_name: str, timeouts: Timeouts) -> None:
        self.relay = relay
        self._context = context
        self._host_name = host_name
        self._timeouts = timeouts
        self._client: SMTP | None = None
        self._conversation: Conversation | None = None
        self._offers = Offers()
        self.messages = 0

    @property
    def connected(self) -> bool:
        """Whether the connection is open, as far as known."""
        return self._conversation is not None and self._conversation.connected

    async def open(self) -> None:
        """Connect and log in. Raises SessionLost, with the reason."""
        from aiosmtplib import SMTPException, SMTPHeloError

        from store.mail.conversation import Conversation

        client = client_of(self.relay, self._context, self._host_name, self._timeouts.connect)
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                try:
                    await client.ehlo()
                except SMTPHeloError:
                    await client.helo()
        except (SMTPException, OSError, ValueError) as error:
            client.close()
            raise SessionLost(failure(error)) from error
        if client.transport is None or not client.is_connected:
            client.close()
            raise SessionLost("The connection was lost.")
        self._client = client
        self._conversation = Conversation(cast("asyncio.Transport", client.transport))
        self._offers = offers_of(client.esmtp_extensions)
        self.messages = 0

    async def close(self, *, polite: bool = True) -> None:
        """End the session, with QUIT if `polite`. Never raises."""
        client, self._client = self._client, None
        conversation, self._conversation = self._conversation, None
        if client is None or conversation is None:
            return
        if polite and conversation.connected:
            try:
                await conversation.ask([b"QUIT"], 2)
            except Exception:
                pass
        conversation.close()
        client.close()

    async def send(
        self,
        sender: str,
        recipients: Sequence[str],
        message: bytes,
        before_data: BeforeData,
        dsn: Dsn | None = None,
        wire: bytes | None = None,
        before_content: Callable[[], None] = lambda: None,
    ) -> dict[str, Outcome]:
        """Send one message; return the outcome of each recipient.

        DSN options of `dsn` are used if the server offers DSN. `sender` is "" for the null sender; `wire` is the
        message's `wire_form`, if it was made already. `before_data` is awaited before DATA is sent (see `BeforeData`),
        `before_content` is called just before the content. Raises SessionLost if the connection breaks before the
        content, and any error of `before_data`. If it breaks while or after the content is sent, the outcome is
        UNKNOWN.
        """
        from aiosmtplib import SMTPException

        try:
            wire = wire_form(message) if wire is None else wire
        except ValueError as error:
            return dict.fromkeys(recipients, Outcome(State.FAILED, str(error)))
        try:
            return await self._transaction(sender, recipients, message, wire, before_data, dsn or Dsn(), before_content)
        except SessionLost:
            await self.close(polite=False)
            raise
        except (SMTPException, OSError, ValueError) as error:
            await self.close(polite=False)
            raise SessionLost(failure(error)) from error

    async def _transaction(
        self,
        sender: str,
        recipients: Sequence[str],
        message: bytes,
        wire: bytes,
        before_data: BeforeData,
        dsn: Dsn,
        before_content: Callable[[], None],
    ) -> dict[str, Outcome]:
        self.messages += 1
        on_wire, outcomes = self._addresses(sender, recipients)
        offers = self.offers
        if not offers.takes(len(message)):
            text = f"The message has {len(message)} bytes, and the relay accepts at most {offers.limit}."
            return dict.fromkeys(recipients, Outcome(State.FAILED, text))
        if sender not in on_wire:
            return dict.fromkeys(recipients, Outcome(State.FAILED, _UTF8))
        accepted = [address for address in recipients if address in on_wire]
        if not accepted:
            return outcomes
        commands = self._envelope(sender, accepted, on_wire, message, dsn)
        ask = self._all_at_once if offers.pipelining else self._one_by_one
        refused, data = await ask(commands, accepted, before_data, outcomes)
        outcomes |= refused
        accepted = [address for address in accepted if address not in refused]
        if not accepted:
            # A server that wants content for nobody cannot be told that there is none.
            await (self.close(polite=False) if data is not None and data.code // 100 == 3 else self._reset())
            return outcomes
        assert data is not None
        if data.code != 354:
            # RSET would be content for a server that answers otherwise than RFC 5321 has it.
            await (self._reset() if _refuses(data) else self.close(polite=False))
            return outcomes | dict.fromkeys(accepted, outcome_of(data))
        return outcomes | dict.fromkeys(accepted, await self._content(wire, before_content))

    def _envelope(
        self, sender: str, recipients: Sequence[str], on_wire: Mapping[str, str], message: bytes, dsn: Dsn
    ) -> list[bytes]:
        """Make the commands MAIL and RCPT."""
        offers, asked = self.offers, dsn.by_address
        utf8 = not all(on_wire[address].isascii() for address in (sender, *recipients))
        options = [*self._options(message, utf8), *offers.mail_dsn(dsn.ret, dsn.envid)]
        commands = [b" ".join((b"MAIL FROM:<%s>" % on_wire[sender].encode(), *options))]
        for address in recipients:
            options = offers.recipient_dsn(asked[address], utf8=utf8) if address in asked else []
            commands.append(b" ".join((b"RCPT TO:<%s>" % on_wire[address].encode(), *options)))
        return commands

    async def _all_at_once(
        self, commands: Sequence[bytes], recipients: list[str], before_data: BeforeData, outcomes: dict[str, Outcome]
    ) -> tuple[dict[str, Outcome], SMTPResponse | None]:
        """Send MAIL, RCPT and DATA in one write. Returns the refused recipients, and the reply to DATA."""
        await before_data(recipients, outcomes)
        replies = await self._ask(*commands, b"DATA")
        refuses = list(map(_refuses, replies[: len(commands)]))
        if refuses[0]:
            return dict.fromkeys(recipients, outcome_of(replies[0])), replies[-1] if replies[1:] else None
        if len(replies) <= len(commands):
            raise SessionLost("The connection was lost.")
        *answers, data = replies[1:]
        each = zip(recipients, answers, refuses[1:], strict=True)
        refused = {address: outcome_of(answer) for address, answer, no in each if no}
        accepted = [address for address in recipients if address not in refused]
        if refused and accepted and data.code == 354:
            await self._first(before_data(accepted, outcomes | refused))
        return refused, data

    async def _one_by_one(
        self, commands: Sequence[bytes], recipients: list[str], before_data: BeforeData, outcomes: dict[str, Outcome]
    ) -> tuple[dict[str, Outcome], SMTPResponse | None]:
        """Send each command after the reply to the one before it. Returns as `_all_at_once`."""
        [response] = await self._ask(commands[0])
        if _refuses(response):
            return dict.fromkeys(recipients, outcome_of(response)), None
        refused: dict[str, Outcome] = {}
        for address, command in zip(recipients, commands[1:], strict=True):
            [response] = await self._ask(command)
            if _refuses(response):
                refused[address] = outcome_of(response)
        accepted = [address for address in recipients if address not in refused]
        if not accepted:
            return refused, None
        await self._first(before_data(accepted, outcomes | refused))
        [response] = await self._ask(b"DATA")
        return refused, response

    async def _first(self, work: Awaitable[None]) -> None:
        """Await what must be done before the transaction goes on; if that fails, end the session."""
        try:
            await work
        except BaseException:
            await self.close(polite=False)
            raise

    async def _content(self, wire: bytes, before_content: Callable[[], None]) -> Outcome:
        """Send the content and read the reply. If the connection breaks in between, the outcome is UNKNOWN."""
        conversation = self._conversation
        if conversation is None or not conversation.connected:
            raise SessionLost("The connection was lost before the message was sent.")
        before_content()
        try:
            [response] = await conversation.say(wire, 1, self._timeouts.message)
        except Exception as error:
            await self.close(polite=False)
            return Outcome(
                State.UNKNOWN,
                f"The connection was lost while the message was being transferred (after DATA): {failure(error)}",
            )
        if response.code == 421:
            await self.close(polite=False)
        if 200 <= response.code <= 299:
            return Outcome(State.SENT, reply_text(response.code, response.message))
        if not 400 <= response.code <= 599:
            await self.close(polite=False)
            text = reply_text(response.code, response.message)
            return Outcome(State.UNKNOWN, f"The relay's answer to the message is not valid SMTP: {text}")
        return outcome_of(response)

    def _addresses(self, sender: str, recipients: Sequence[str]) -> tuple[dict[str, str], dict[str, Outcome]]:
        """Return the form of each address on the wire, and the outcomes of the recipients that the server
        cannot take.
        """
        offers = self.offers
        forms = {address: offers.on_wire(address) for address in (sender, *recipients)}
        refused = {address: Outcome(State.FAILED, _UTF8) for address in recipients if forms[address] is None}
        return {address: form for address, form in forms.items() if form is not None}, refused

    def _options(self, message: bytes, utf8: bool) -> list[bytes]:
        options, offers = [], self.offers
        if offers.size:
            options.append(b"SIZE=%d" % len(message))
        if offers.eight_bit and not message.isascii():
            options.append(b"BODY=8BITMIME")
        if utf8:
            options.append(b"SMTPUTF8")
        return options

    @property
    def extensions(self) -> dict[str, str]:
        """The server's EHLO extensions: names (lower case) and parameters."""
        return dict(self._client.esmtp_extensions) if self._client else {}

    @property
    def offers(self) -> Offers:
        """The server's extensions that matter for sending."""
        return self._offers

    async def _ask(self, *commands: bytes) -> list[SMTPResponse]:
        """Return the replies, as `Conversation.ask` does. A server that says 421 has closed the connection."""
        if self._conversation is None:
            raise SessionLost("The connection was lost.")
        replies = await self._conversation.ask(commands, self._timeouts.command)
        if any(reply.code == 421 for reply in replies):
            self._conversation.close()
        return replies

    async def _reset(self) -> None:
        """Abort the transaction with RSET, so that the session can send the next message; close it if that fails.

        Never raises.
        """
        from aiosmtplib import SMTPException

        try:
            if (await self._ask(b"RSET"))[0].code == 250:
                return
        except (SMTPException, OSError, SessionLost):
            pass
        await self.close(polite=False)


async def local_host_name() -> str:
    """Return this host's name for EHLO and message ids: ASCII, never empty."""
    name = await asyncio.to_thread(socket.getfqdn)
    return name if name.isascii() and name.replace("-", "").replace(".", "").isalnum() else "localhost"
