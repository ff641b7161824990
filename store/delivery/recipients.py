"""A copy's original recipients: from the envelope, or from header fields if no envelope is known."""

from __future__ import annotations

from typing import NamedTuple

from store.mail.addresses import addresses_in_header, mailbox
from store.terms.records import Copy, CopyRecord

ENVELOPE, TO, CC, BCC = "envelope", "To", "Cc", "Bcc"


class Recipient(NamedTuple):
    """One original recipient. `source` is "envelope", "To", "Cc" or "Bcc"; `bcc` is True if To and Cc lack it.

    The address is as stored: NOT safe for a terminal, and checked only when something is released to it.
    """

    address: str
    source: str
    bcc: bool


def recipients_of(copy: Copy) -> list[Recipient]:
    """List a copy's original recipients, each mailbox once, in order; [] if none is known."""
    record = copy.record
    if record.envelope_recipients:
        return _from_envelope(record)
    found: dict[str, Recipient] = {}
    for source, text in ((TO, record.to), (CC, record.cc), (BCC, record.bcc)):
        for address in addresses_in_header(text):
            found.setdefault(mailbox(address), Recipient(address, source, source == BCC))
    return list(found.values())


def _from_envelope(record: CopyRecord) -> list[Recipient]:
    shown = {mailbox(address) for text in (record.to, record.cc) for address in addresses_in_header(text)}
    found: dict[str, Recipient] = {}
    for address in record.envelope_recipients:
        found.setdefault(mailbox(address), Recipient(address, ENVELOPE, mailbox(address) not in shown))
    return list(found.values())
