"""Mail from Mailhold to the administrator: composing it, and sending it through the relay.

It leaves the store unencrypted, so it holds figures and no message content. It is sent from the null sender and marked
as automatic, so that nothing replies to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime

from store.mail.client import BeforeData, Session, Timeouts, local_host_name
from store.mail.outcome import Outcome, State
from store.mail.relay import parse_relay

#: Together shorter than the lease of a notice.
TIMEOUTS = Timeouts(connect=20, command=30, message=300)


def compose(administrator: str, subject: str, text: str, *, message_id: str, now: int) -> bytes:
    """Write the mail as an RFC 5322 message with CRLF line ends.

    `now` is Unix ms; `administrator` must be a checked address. `message_id` has no angle brackets.
    """
    message = EmailMessage(policy=SMTP if administrator.isascii() else SMTPUTF8)
    local, _, domain = administrator.rpartition("@")
    message["From"] = Address("Mailhold", local.strip('"'), domain)
    message["To"] = Address("", local.strip('"'), domain)
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.fromtimestamp(now / 1000, UTC))
    message["Message-ID"] = f"<{message_id}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(text, charset="utf-8", cte="7bit" if text.isascii() else "8bit")
    return message.as_bytes()


async def send(
    relay_url: str,
    administrator: str,
    message: bytes,
    *,
    before_data: BeforeData | None = None,
    timeouts: Timeouts = TIMEOUTS,
) -> Outcome:
    """Send the mail; return the relay's outcome. Raises RelayError, SessionLost, and any error of `before_data`."""
    relay = parse_relay(relay_url)
    context = await asyncio.to_thread(relay.tls_context)
    session = Session(relay, context, await local_host_name(), timeouts)
    try:
        await session.open()
        outcomes = await session.send("", [administrator], message, before_data or _nothing)
    except BaseException:
        await session.close(polite=False)
        raise
    await session.close()
    return outcomes.get(administrator, Outcome(State.DEFERRED, "the relay did not say"))


async def _nothing(_accepted: Sequence[str], _refused: Mapping[str, Outcome]) -> None:
    return None
