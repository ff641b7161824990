"""Metadata of a message copy: the sealed record, and the row of the message list."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from store.terms.dsn import Dsn
from store.terms.findings import Authentication, Finding, KnownSender
from store.terms.sender import sender_differs
from store.terms.verdicts import DANGEROUS, Action, Engine, Status, Verdict

#: Max attachments listed in a record; the message may have more.
ATTACHMENT_LIMIT = 100


class Attachment(msgspec.Struct, frozen=True, array_like=True):
    """An attachment as listed in the record: declared name (decoded, NOT safe), declared type, decoded size (bytes)."""

    name: str
    content_type: str
    size: int


class CopyRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All sealed metadata of a copy. Text is decoded but NOT safe for a terminal.

    Times are Unix milliseconds UTC (0 = unknown). `from_`, `to`, `cc` and `bcc` are the decoded header fields as text;
    `envelope_sender` is None without an envelope and "" for the null sender. `dsn`: the notifications that the sender
    requested. `known`: what the gateway or the import knew of the sender, None if it did not check.
    """

    from_: str = ""
    to: str = ""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    message_id: str = ""
    mta_message_id: str = ""
    envelope_sender: str | None = None
    envelope_recipients: tuple[str, ...] = ()
    client_address: str = ""
    rule_id: int = 0
    rule_name: str = ""
    verdicts: tuple[Verdict, ...] = ()
    reason: Verdict | None = None
    action: Action = Action.SKIP
    blacklisted_by: tuple[str, ...] = ()
    whitelisted_by: tuple[str, ...] = ()
    sent_at: int = 0
    received_at: int = 0
    attachments: tuple[Attachment, ...] = ()
    av_database_date: int = 0
    size: int = 0
    sha256: bytes = b""
    source: str = ""
    dsn: Dsn | None = None
    client_name: str = ""
    findings: tuple[Finding, ...] = ()
    authentication: tuple[Authentication, ...] = ()
    known: KnownSender | None = None

    @property
    def dangerous(self) -> bool:
        """Whether any engine found the message infected or probably infected."""
        for verdict in self.verdicts:
            if verdict.status in DANGEROUS:
                return True
        return self.reason is not None and self.reason.status in DANGEROUS


class Copy(NamedTuple):
    """A stored copy: id, time placed (Unix ms), size in the store (bytes), and opened record."""

    id: int
    stored_at: int
    stored_size: int
    record: CopyRecord


class Row(NamedTuple):
    """One line of the message list. `size` is the raw message's, in bytes. Text is NOT safe for a terminal.

    `from_` is the header field; `store.terms.sender.address_first` formats it for display. `sender_differs`: the
    envelope's sender is of another organisation.
    """

    id: int
    stored_at: int
    engine: Engine | None
    status: Status | None
    from_: str
    to: str
    subject: str
    size: int
    rule_id: int
    message_id: str
    mta_message_id: str
    dangerous: bool
    sender_differs: bool = False


def row_of(copy: Copy) -> Row:
    """Make the list line of a stored copy."""
    record = copy.record
    reason = record.reason
    return Row(
        copy.id,
        copy.stored_at,
        reason.engine if reason else None,
        reason.status if reason else None,
        record.from_,
        record.to,
        record.subject,
        record.size,
        record.rule_id,
        record.message_id,
        record.mta_message_id,
        record.dangerous,
        sender_differs(record.from_, record.envelope_sender),
    )
