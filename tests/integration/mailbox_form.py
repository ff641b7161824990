"""The expected mailbox content of a released message, and the messages that Postfix repairs."""

from __future__ import annotations

from store.delivery.trace import released_message
from store.mail.header_fields import header_of

PREPENDED = {b"return-path", b"x-original-to", b"delivered-to", b"received"}


def mailbox_form(raw: bytes) -> bytes:
    """Convert `raw` to its mailbox form: without trace fields, every line ending in LF, including the last."""
    message = released_message(raw, b"").replace(b"\r\n", b"\n")
    return message if message.endswith(b"\n") else message + b"\n"


def is_malformed(raw: bytes) -> bool:
    """Return True for a message that Postfix repairs: broken header, blank before a colon, or a lone CR."""
    message = mailbox_form(raw)
    header = header_of(message)
    fields = list(header.fields())
    blanks = any(each.value != each.start + len(each.name) + 1 for each in fields)
    return b"\r" in message or not fields or header.broken or blanks or any(not each.name for each in fields)
