"""What a mailbox must hold of a released message, and what Postfix mends in one."""

from __future__ import annotations

from store.delivery.trace import released_message
from store.mail.header_fields import header_of

PREPENDED = {b"return-path", b"x-original-to", b"delivered-to", b"received"}


def mailbox_form(raw: bytes) -> bytes:
    """What the mailbox must hold of `raw`: no trace fields, lines that end in LF, the last one too."""
    message = released_message(raw, b"").replace(b"\r\n", b"\n")
    return message if message.endswith(b"\n") else message + b"\n"


def is_malformed(raw: bytes) -> bool:
    """True for what Postfix mends: a header that breaks off, a blank before a colon, and CR on its own."""
    message = mailbox_form(raw)
    header = header_of(message)
    fields = list(header.fields())
    blanks = any(each.value != each.start + len(each.name) + 1 for each in fields)
    return b"\r" in message or not fields or header.broken or blanks or any(not each.name for each in fields)
